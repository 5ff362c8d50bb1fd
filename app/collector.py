"""Keeps Python's garbage collector from stopping every thread to look at what never goes away.

A full collection walks all objects while the interpreter's lock is held: the event loop and the
decoding thread both stand still. Three hundred thousand of them are the functions, classes and
tables of imported packages, which took 0.2 to 0.35 seconds each time.
"""

import gc


def set_imports_aside() -> None:
    """Have no later collection look at what is there now.

    To be called once, after the imports and before anything is loaded that may be freed later:
    models are in reference cycles, which only the collector frees.
    """
    gc.collect()
    gc.freeze()
