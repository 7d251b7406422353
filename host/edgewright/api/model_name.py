"""The name of a model on boards."""

from __future__ import annotations

import re


def slug(stem: str) -> str:
    """Turns a file's stem into a valid model name."""
    made = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")[:64]
    return made or "model"
