"""The service: translations with their alignments over HTTP."""
