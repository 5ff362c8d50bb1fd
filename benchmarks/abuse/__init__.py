"""Fault injection and abuse: what the service promises, tried on a real process, a line a case."""

GROUPS = "ABCDEFGL"
"""Letters of the groups, each a part of what can go wrong."""
