"""The service: translations with their alignments over HTTP."""

__version__ = "0.1.0"
