"""Measurements side by side with peers; each prints a ratio."""
