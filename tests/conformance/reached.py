"""How the small models reach a target, for tests that run its runner."""

from __future__ import annotations

from edgewright import targets

INSTALLED = {"apache-tvm"}  # toolchains that tests of runners install


def way_of(name: str) -> str:
    """A source format that reaches a target without a toolchain, or with those that the tests install; empty if there is none."""
    routes = targets.load(name).routes
    return next(
        (kind for kind in ("onnx", "keras") if kind in routes and set(routes[kind].toolchains) <= INSTALLED),
        "",
    )
