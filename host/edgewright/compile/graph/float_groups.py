"""Groups of nodes without weights that int8 would ruin, and that therefore stay in floats together.

Five kinds. *Ends*: what joins parts of an output, from the first Concat on, or scales or shifts them apart: in 8 bits,
boxes in pixels and scores between 0 and 1 share one scale. *Masks*: the nodes from a constant that stands for minus
infinity to its Softmax: a scale that reaches so far leaves nothing for what is masked. *Fills*: the same before anything else, such as a maximum.
*Offsets*: what takes most of a number away by a constant: a scale that reaches to 1000 hPa has few steps for the weather.
*Powers*: squares, cubes and what is computed from them (`powers.py`).

Only this module decides which nodes belong to them. Quantisers call it with the ranges that calibration measured, and leave
the nodes in floats; the search of `--fallback` calls it without ranges.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.compile.graph.operations import Operation, is_layer
from edgewright.compile.graph.powers import powers
from edgewright.nouns.base import Noun

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

ENDS, MASKS, FILLS, OFFSETS, POWERS = "ends", "masks", "fills", "offsets", "powers"
LARGE = 1e3  # the least magnitude of a constant that stands for minus infinity
APART = 4  # a result this many times as wide as one of its parts costs that part two of its 8 bits
LOST = 256  # a result this many times as wide leaves nothing of the part

_JOINS = {"concat", "concatv2", "concatenation", "concatenate", "pack", "stack"}
_UNROUNDED = {
    "cast",
    "convert",
    "identity",
    "dropout",
    "inputlayer",
}  # never quantised; optimisers remove some of them
_MOVES = {
    *_JOINS, *_UNROUNDED, "reshape", "flatten", "transpose", "permute", "squeeze", "unsqueeze", "expanddims",
    "expand_dims", "slice", "stridedslice", "strided_slice", "getitem", "split", "splitv", "split_v", "variadicsplit",
    "unpack", "unstack", "depthtospace", "depth_to_space", "spacetodepth", "space_to_depth",
}  # fmt: skip
_SCALING = {"mul", "multiply", "div", "divide", "realdiv"}
_SHIFTING = {"add", "addv2", "sub", "subtract", "biasadd"}
_FOLLOWED = {  # each result value comes from one value of an input, provided all other inputs are constant
    *_MOVES, *_SCALING, *_SHIFTING, "pad", "padv2", "mirrorpad", "mirror_pad", "resize", "upsample", "resizebilinear",
    "resize_bilinear", "resizenearestneighbor", "resize_nearest_neighbor", "interpolate", "tile", "expand",
    "broadcastto", "broadcast_to", "gather", "clip", "clamp", "relu", "relu6", "relu_0_to_1", "leakyrelu", "leaky_relu",
    "neg", "negative", "min", "minimum", "max", "maximum",
}  # fmt: skip
_SOFTMAX = {"softmax", "logsoftmax", "log_softmax"}
_FILLS = {
    "add", "addv2", "biasadd", "sub", "subtract", "where", "select", "selectv2", "select_v2", "min", "minimum", "max", "maximum",
    "pad", "padv2", "mirrorpad",
}  # fmt: skip
_ADDS = {*_FILLS, "gemm"}  # optimisers merge a product and a sum into it
MASKING = {
    "mul", "multiply", "div", "divide", "expand", "broadcast", "broadcastto", "broadcast_to", "tile", "gather",
    *_FILLS, *_MOVES,
}  # fmt: skip


class FloatGroup(Noun, frozen=True, kw_only=True):
    """Nodes that stay in floats together.

    Attributes:
        kind: `ENDS`, `MASKS`, `FILLS`, `OFFSETS` or `POWERS`.
        words: a description for people.
        names: as `keep_float` takes them, in the model's order.
    """

    kind: str
    words: str
    names: tuple[str, ...]


class Keepable(Noun, frozen=True, kw_only=True):
    """The layers and groups that can stay in floats, by the names that `keep_float` takes, in the model's order.

    Attributes:
        layers: convolutions and dense layers.
    """

    layers: tuple[str, ...] = ()
    groups: tuple[FloatGroup, ...] = ()


def groups(
    graph: Sequence[Operation], *, products: bool = False, measured: bool = False
) -> tuple[FloatGroup, ...]:
    """The groups of a model, at most one of each kind.

    Args:
        graph: in an order in which it can be computed.
        products: whether the products that are masked belong to the masks.
        measured: whether the operations have widths: only what differs in width is at stake then, and fills, offsets and powers are found.
    """
    readers: dict[str, list[Operation]] = {}
    for one in graph:
        for name in one.takes:
            readers.setdefault(name, []).append(one)
    masks = _to_softmax(graph, readers)
    fills = _filled(graph, readers) - masks if measured else set()
    offsets = {one.name for one in graph if _narrows(one)} - masks - fills
    ends = _ends(graph, measured, masks | fills | offsets)
    others = masks.union(fills, offsets, ends.names if ends else ())
    found = (
        ends,
        _masks(graph, masks, products),
        _group(graph, FILLS, "what a large constant fills", fills),
        _group(graph, OFFSETS, "what takes an offset away", offsets),
        _group(graph, POWERS, "what is computed from squares", powers(graph) - others if measured else set()),
    )
    return tuple(group for group in found if group is not None)


def _ends(graph: Sequence[Operation], measured: bool, others: set[str]) -> FloatGroup | None:
    makers = {one.name: one for one in graph}
    found: set[str] = set()
    outputs: list[str] = []
    for one in graph:
        joined = _joined(one, makers, measured) - others if one.ends else set()
        found |= joined
        outputs += one.ends if joined else ()
    if not found:
        return None
    many = "s" if len(outputs) > 1 else ""
    return FloatGroup(
        kind=ENDS, words=f"what joins output{many} {_listed(outputs)}", names=_names(graph, found)
    )


def _joined(last: Operation, makers: dict[str, Operation], measured: bool) -> set[str]:
    """The moves, scalings and shifts before an output, starting at the first ones that join parts."""
    moves: dict[str, Operation] = {}
    pending = [last]
    while pending:
        one = pending.pop()
        if one.name not in moves and _followed(one, makers):
            moves[one.name] = one
            pending += [makers[name] for name in one.takes if name in makers]
    joined = {name for name, one in moves.items() if _parts(one, measured)}
    grown = True
    while grown:
        behind = {name for name, one in moves.items() if joined & set(one.takes)}
        grown = not behind <= joined
        joined |= behind
    return joined


def _followed(one: Operation, makers: dict[str, Operation]) -> bool:
    if one.fixed or _operator_of(one) not in _FOLLOWED:
        return False
    moving = {name for name in one.takes if name in makers and not makers[name].fixed}
    return _operator_of(one) in _MOVES or (len(moving) == 1 and len(one.widths) <= 1)


def _parts(one: Operation, measured: bool) -> bool:
    """Whether the result has parts whose ranges differ, or may differ."""
    if _operator_of(one) in _JOINS:
        return not measured or _wider(one, APART)
    if _operator_of(one) in _SCALING:
        return one.spread >= APART
    return _operator_of(one) in _SHIFTING and any(0 < width * APART <= one.spread for width in one.widths)


def spread(operator: str, values: Array) -> float:
    """The `Operation.spread` of the constants that an operator reads."""
    import numpy as np

    real = values[np.isfinite(values)].astype(np.float64)
    if operator.lower() in _SHIFTING:
        return float(np.ptp(real)) if real.size else 0.0
    sizes = np.abs(real[real != 0])
    if operator.lower() not in _SCALING or not sizes.size or sizes.min() == sizes.max():
        return 0.0
    return float(sizes.max() / sizes.min())


def _wider(one: Operation, times: float) -> bool:
    """Whether the result is at least `times` as wide as one of its inputs."""
    return any(0 < width * times <= one.width for width in one.widths)


def _masks(graph: Sequence[Operation], found: set[str], products: bool) -> FloatGroup | None:
    if not found:
        return None
    many = sum(one.name in found and _operator_of(one) in _SOFTMAX for one in graph)
    words = "what masks the Softmax" if many == 1 else f"what masks {many} Softmaxes"
    with_them = found | _products(graph, found) if products else found
    return FloatGroup(kind=MASKS, words=words, names=_names(graph, with_them))


def _group(graph: Sequence[Operation], kind: str, words: str, found: set[str]) -> FloatGroup | None:
    names = _names(graph, found)
    return FloatGroup(kind=kind, words=words, names=names) if names else None


def _narrows(one: Operation) -> bool:
    """Whether it adds constants that remove most of the width."""
    moved = _operator_of(one) in _SHIFTING and not one.fixed and len(one.widths) == 1
    return moved and 0 < one.width * APART <= one.widths[0]


def _to_softmax(graph: Sequence[Operation], readers: dict[str, list[Operation]]) -> set[str]:
    """The nodes from large constants, or from where a mask input is added, to the Softmaxes behind them."""
    reaches = _reaching(graph, readers)
    pending = [one for one in graph if (_starts_mask(one) or _drowns_input(one)) and reaches[one.name]]
    found: set[str] = set()
    while pending:
        one = pending.pop()
        if one.name not in found:
            found.add(one.name)
            after = readers.get(one.name, ()) if _operator_of(one) in MASKING else ()
            pending += [two for two in after if reaches[two.name]]
    return found


def _reaching(graph: Sequence[Operation], readers: dict[str, list[Operation]]) -> dict[str, bool]:
    """For each node, whether it reaches a Softmax through nothing but operators that masks consist of."""
    reaches: dict[str, bool] = {}
    for one in reversed(graph):
        through = _operator_of(one) in MASKING and any(
            reaches.get(two.name) for two in readers.get(one.name, ())
        )
        reaches[one.name] = _operator_of(one) in _SOFTMAX or through
    return reaches


def _drowns_input(one: Operation) -> bool:
    """Whether one of the values that it adds or selects from is so wide that nothing is left of another."""
    return _operator_of(one) in _FILLS and one.width >= LARGE and _wider(one, LOST)


def _filled(graph: Sequence[Operation], readers: dict[str, list[Operation]]) -> set[str]:
    """The nodes that a large constant fills so that nothing is left of the other values, and the nodes that read those.

    An example is an infinity before a maximum, or one that excludes an answer.
    """
    carrying = carriers(graph)
    lost = {
        one.name for one in graph if one.name in carrying and _operator_of(one) in _ADDS and _wider(one, LOST)
    }
    filled = set(lost)
    for one in graph:
        if one.name in carrying and filled & set(one.takes) and not is_layer(one):
            filled.add(one.name)
    for one in reversed(graph):  # the nodes that lead the constant there
        leads = any(two.name in filled for two in readers.get(one.name, ()))
        if leads and one.name in carrying and _operator_of(one) in MASKING and one.width >= LARGE:
            filled.add(one.name)
    return filled


def in_doubt(graph: Sequence[Operation]) -> set[str]:
    """Names of the nodes whose widths decide on masks and fills: those that carry a large constant, and those that may add a mask input."""
    readers: dict[str, list[Operation]] = {}
    for one in graph:
        for name in one.takes:
            readers.setdefault(name, []).append(one)
    reaches = _reaching(graph, readers)
    return carriers(graph) | {one.name for one in graph if _operator_of(one) in _FILLS and reaches[one.name]}


def may_fill(graph: Sequence[Operation]) -> bool:
    """Whether a large constant may fill something; only measured widths can confirm it."""
    carrying = carriers(graph)
    return any(one.name in carrying and _operator_of(one) in _FILLS for one in graph)


def least_share(graph: Sequence[Operation], group: FloatGroup) -> float:
    """The least share of an output's whole range that one of its parts takes; for measured ends."""
    least = 1.0
    for one in graph:
        if one.name not in group.names:
            continue
        if _operator_of(one) in _JOINS and one.width > 0:
            least = min([least, *(width / one.width for width in one.widths if width > 0)])
        elif _operator_of(one) in _SCALING and one.spread > 0:
            least = min(least, 1 / one.spread)
        elif _operator_of(one) in _SHIFTING and one.spread > 0:
            least = min([least, *(width / one.spread for width in one.widths if width > 0)])
    return least


def carriers(graph: Sequence[Operation]) -> set[str]:
    """Names of the nodes that a large constant reaches, directly or moved, scaled, added or selected; if widths are known, only
    while the values are still large.
    """
    readers: dict[str, list[Operation]] = {}
    found = {one.name for one in graph if _starts_mask(one)}
    for one in graph:
        for name in one.takes:
            readers.setdefault(name, []).append(one)
    for one in graph:
        passes = _operator_of(one) in MASKING or _operator_of(one) in _ADDS
        if one.name in found and passes and (one.width >= LARGE or not one.widths):
            found |= {two.name for two in readers.get(one.name, ())}
    return found


def _starts_mask(one: Operation) -> bool:
    return one.largest >= LARGE and _operator_of(one) in MASKING and not one.fixed


def _products(graph: Sequence[Operation], masks: set[str]) -> set[str]:
    """The layers whose results are masked, directly or scaled."""
    makers = {one.name: one for one in graph}
    found: set[str] = set()
    seen: set[str] = set()
    pending = [makers[name] for name in masks]
    while pending:
        for one in (makers[name] for name in pending.pop().takes if name in makers):
            if is_layer(one):
                found.add(one.name)
            elif _operator_of(one) in MASKING and one.name not in seen:
                seen.add(one.name)
                pending.append(one)
    return found


def _operator_of(one: Operation) -> str:
    return one.operator.lower()


def _names(graph: Iterable[Operation], found: set[str]) -> tuple[str, ...]:
    return tuple(one.name for one in graph if one.name in found and _operator_of(one) not in _UNROUNDED)


def _listed(outputs: Sequence[str]) -> str:
    more = f" and {len(outputs) - 2} more" if len(outputs) > 2 else ""
    return ", ".join(outputs[:2]) + more
