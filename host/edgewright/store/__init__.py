"""Artifacts by content, the cache, and history in SQL."""
