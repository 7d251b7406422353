"""The matrix of routes from every source format to every target."""

from __future__ import annotations

from edgewright import targets
from edgewright.compile.formats import FORMATS, target_for
from edgewright.nouns.base import Noun
from edgewright.precisions import with_plugins


class Cell(Noun, frozen=True, kw_only=True):
    """How one source format converts to one target.

    Attributes:
        precisions: names, in the target's order; empty if there is no route.
        stages: `<worker>:<target>.<module>`, in order; those of `as-is` if there are no others.
        toolchains: separate environments that the stages need.
    """

    source: str
    target: str
    precisions: tuple[str, ...]
    stages: tuple[str, ...]
    toolchains: tuple[str, ...]


def cells() -> tuple[Cell, ...]:
    """All cells, sorted by source, then by target, including those without a route."""
    return tuple(_cell(source, name) for source in sources() for name in targets.names())


def sources() -> tuple[str, ...]:
    """The source formats, sorted."""
    return tuple(FORMATS)


def _cell(source: str, name: str) -> Cell:
    target = target_for(name, source)
    route = target.routes.get(source) or target.as_is.get(source)
    if route is None:
        return Cell(source=source, target=name, precisions=(), stages=(), toolchains=())
    return Cell(
        source=source,
        target=name,
        precisions=with_plugins(target.precisions_from(source)),
        stages=tuple(f"{worker}:{module}" for worker, module in route.stages),
        toolchains=route.toolchains,
    )
