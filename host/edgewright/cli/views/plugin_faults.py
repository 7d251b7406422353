"""Says which plug-ins cannot be used, one line each: the rest works."""

from __future__ import annotations

from typing import Any

from edgewright.cli import render
from edgewright.plugins import Fault, Registry


def registries() -> list[Registry[Any]]:
    """Those of every kind of plug-in."""
    from edgewright import targets
    from edgewright.compile.formats import FORMATS
    from edgewright.compile.steps import STEPS
    from edgewright.config import profiles
    from edgewright.connect.transports import TRANSPORTS
    from edgewright.metrics import METRICS
    from edgewright.precisions import PRECISIONS

    return [targets.REGISTRY, FORMATS, PRECISIONS, METRICS, STEPS, TRANSPORTS, profiles.PLUGINS]


def all_faults() -> tuple[Fault, ...]:
    """Every plug-in that cannot be used, for JSON documents."""
    return tuple(fault for registry in registries() for fault in registry.faults())


def show_faults(*some: Registry[Any]) -> None:
    """Notes on stderr about the plug-ins of some groups; without, of all."""
    for registry in some or registries():
        for fault in registry.faults():
            render.note(f"{registry.kind} {fault}")
