"""Fetches public corpora from where they are published and writes them as `[data]` reads them."""
