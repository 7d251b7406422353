"""The name of a model on boards."""

from __future__ import annotations

import re


def slug(stem: str) -> str:
    """A file's stem as a model's name."""
    made = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:64]
    return made or "model"
