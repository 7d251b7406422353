"""Says which plug-ins cannot be used, one line each: the rest works."""

from __future__ import annotations

from typing import Any

from edgewright.cli import render
from edgewright.plugins import Registry


def show_faults(*registries: Registry[Any]) -> None:
    """Notes on stderr about the plug-ins of some groups."""
    for registry in registries:
        for fault in registry.faults():
            render.note(f"{registry.kind} {fault}")
