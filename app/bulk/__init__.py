"""Translates files of any size, line by line, in constant memory; a run that was killed goes on."""
