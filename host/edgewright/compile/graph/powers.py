"""Finds what a graph computes from squares and higher powers: 8 bits hold neither their range nor their differences.

A normalisation that is spelt out takes the square of a mean from the mean of squares, and divides by the root of what is left.
GELU takes the hyperbolic tangent of a cube: where 8 bits reach to 100,000, none is left for the -3 to 3 that matter.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgewright.compile.graph.operations import Operation

_POWERS = {"square", "squareddifference", "squared_difference", "pow", "power", "reducel2", "reducesumsquare"}
_PRODUCTS = {"mul", "multiply"}
_SCALING = {*_PRODUCTS, "div", "divide", "realdiv"}
_SHIFTING = {"add", "addv2", "sub", "subtract", "biasadd"}
_LINEAR = {
    *_SCALING, *_SHIFTING, "neg", "negative", "cast", "convert", "identity", "dropout", "reshape", "flatten", "transpose",
    "permute", "squeeze", "unsqueeze", "expanddims", "expand_dims", "expand", "broadcast", "broadcastto", "broadcast_to",
    "tile", "reducemean", "reducesum", "mean", "sum",
}  # fmt: skip
_ROOTS = {"sqrt", "rsqrt", "reciprocal", "pow", "power", "reducel2"}
_FURTHER = {
    *_LINEAR, *_POWERS, *_ROOTS, "abs", "log", "exp", "max", "maximum", "min", "minimum", "reducemax", "reducemin", "clip",
    "clamp", "relu",
}  # fmt: skip
_BOUNDED = {"tanh", "sigmoid", "logistic", "erf", "hardsigmoid", "hsigmoid", "softmax"}


def powers(graph: Sequence[Operation]) -> set[str]:
    """Names of the operations that make powers, and of those behind them.

    Up to a function with bounds; or to what is multiplied by the root of a power, and the constants that scale and shift it.

    Args:
        graph: in an order in which it can be computed.
    """
    walk = _Walk({one.name for one in graph if one.fixed})
    for one in graph:
        walk.take(one)
    return {*walk.powers, *walk.normalised, *walk.bounded, *_before(graph, walk)}


def _before(graph: Sequence[Operation], walk: _Walk) -> set[str]:
    """What moves, scales or adds on the way to what is normalised: a normalisation makes its smallest differences as large as others."""
    makers = {one.name: one for one in graph}
    found: set[str] = set()
    pending = [name for one in graph if one.name in walk.normalised for name in one.takes]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        one = makers.get(name)
        if one is None or one.fixed or name in seen:
            continue
        seen.add(name)
        inside = name in walk.powers
        if inside or one.operator.lower() in _LINEAR:
            found |= set() if inside else {name}
            pending += one.takes
    return found


class _Walk:
    """What is known of the operations so far.

    Attributes:
        powers: names of powers and of what comes of them. rooted: those of them that have been through a root.
        normalised: names of what was multiplied by a root. bounded: of functions with bounds that read a power.
    """

    def __init__(self, fixed: set[str]) -> None:
        self._fixed = fixed
        self._made_of: dict[str, frozenset[str]] = {}  # what sums and constant factors make a value of
        self.powers: set[str] = set()
        self.rooted: set[str] = set()
        self.normalised: set[str] = set()
        self.bounded: set[str] = set()

    def take(self, one: Operation) -> None:
        plain, live = one.operator.lower(), [name for name in one.takes if name not in self._fixed]
        before = [name for name in live if name in self.powers]
        others = [name for name in live if name not in self.powers]
        if not before:
            self._start(one.name, plain, live)
        elif plain in _BOUNDED:
            self.bounded.add(one.name)
        elif plain in _SCALING and others and self.rooted & set(before):
            self.normalised.add(one.name)
        elif plain in _FURTHER and not (plain in _SHIFTING and others and not self._share(before, others)):
            self.powers.add(one.name)
            if plain in _ROOTS or self.rooted & set(before):
                self.rooted.add(one.name)
        follows = plain in _LINEAR or one.name in self.powers
        parts = self._parts(live) if follows else frozenset()
        self._made_of[one.name] = parts or frozenset([one.name])

    def _start(self, name: str, plain: str, live: list[str]) -> None:
        product = plain in _PRODUCTS and len(live) > 1 and self._share(live[:1], live[1:])
        if product or (plain in _POWERS and live):
            self.powers.add(name)
            if plain == "reducel2":
                self.rooted.add(name)
        elif plain in {*_SCALING, *_SHIFTING} and len(live) == 1 and live[0] in self.normalised:
            self.normalised.add(name)

    def _parts(self, names: list[str]) -> frozenset[str]:
        return frozenset().union(*(self._made_of.get(name, frozenset([name])) for name in names))

    def _share(self, left: list[str], right: list[str]) -> bool:
        return bool(self._parts(left) & self._parts(right))
