"""An alignment in every form that people use: `app/formats/table.py` lists them.

Nothing here speaks HTTP: each form is a function from an `AlignedText` and options to bytes.
"""
