"""Toolchains: converters that need another Python version."""

from __future__ import annotations

from edgewright.compile.toolchains.environments import describe, python_of

__all__ = ["python_of", "ready"]


def ready(name: str) -> bool:
    """Whether a toolchain is installed."""
    return describe(name).state == "ready"
