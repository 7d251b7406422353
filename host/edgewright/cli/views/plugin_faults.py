"""Reports plug-ins that cannot be used, one line each: the others work."""

from __future__ import annotations

from typing import Any

from edgewright.cli import render
from edgewright.plugins import Fault, Registry


def registries() -> list[Registry[Any]]:
    """The registries of all kinds of plug-in."""
    from edgewright import targets
    from edgewright.compile.formats import FORMATS
    from edgewright.compile.steps import STEPS
    from edgewright.config import profiles
    from edgewright.connect.transports import TRANSPORTS
    from edgewright.metrics import METRICS
    from edgewright.precisions import PRECISIONS

    return [targets.REGISTRY, FORMATS, PRECISIONS, METRICS, STEPS, TRANSPORTS, profiles.PLUGINS]


def all_faults() -> tuple[Fault, ...]:
    """All plug-ins that cannot be used, for JSON documents."""
    return tuple(fault for registry in registries() for fault in registry.faults())


def show_faults(*some: Registry[Any]) -> None:
    """Prints notes on stderr about faulty plug-ins of the given registries, or of all if none is given."""
    for registry in some or registries():
        for fault in registry.faults():
            render.note(f"{registry.kind} {fault}")
