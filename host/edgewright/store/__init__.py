"""Artifacts by content, the cache, and the history in SQL."""
