"""How the small models reach a target, for tests that run its runner."""

from __future__ import annotations

from edgewright import targets


def way_of(name: str) -> str:
    """A source format that reaches a target without a toolchain; empty if there is none."""
    routes = targets.load(name).routes
    return next((kind for kind in ("onnx", "keras") if kind in routes and not routes[kind].toolchains), "")
