"""How the small models get to a target, for the tests that run its runner."""

from __future__ import annotations

from edgewright import targets


def way_of(name: str) -> str:
    """A source format from which a target is reached without a toolchain; empty where there is none."""
    routes = targets.load(name).routes
    return next((kind for kind in ("onnx", "keras") if kind in routes and not routes[kind].toolchains), "")
