"""Groups of nodes without weights that int8 would destroy, and that stay in floats together.

Four kinds. *Ends*: what joins parts of an output, from the first Concat on, or scales or shifts them apart: in 8 bits,
boxes in pixels and scores between 0 and 1 share one scale. *Masks*: the nodes from a constant that stands for minus
infinity to its Softmax: a scale that reaches so far leaves nothing for what is masked. *Fills*: the same before anything else, such as a maximum.
*Offsets*: what takes most of a number away by a constant: a scale that reaches to 1000 hPa has few steps for the weather.

This is the one place that says which they are. Quantisers ask it with what their calibration measured, and leave them in
floats; the search of `--fallback` asks it without.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edgewright.compile.graph.operations import Operation, is_layer
from edgewright.nouns.base import Noun

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

ENDS, MASKS, FILLS, OFFSETS = "ends", "masks", "fills", "offsets"
LARGE = 1e3  # what stands for minus infinity is at least so large
APART = 4  # a result so many times as wide as a part of it takes two bits of 8 from that part
LOST = 256  # so many times, and nothing is left of the part

_JOINS = {"concat", "concatv2", "concatenation", "concatenate", "pack", "stack"}
_UNROUNDED = {
    "cast",
    "convert",
    "identity",
    "dropout",
    "inputlayer",
}  # nothing quantises these, some are optimised away
_MOVES = {
    *_JOINS, *_UNROUNDED, "reshape", "flatten", "transpose", "permute", "squeeze", "unsqueeze", "expanddims",
    "expand_dims", "slice", "stridedslice", "strided_slice", "getitem", "split", "splitv", "split_v", "variadicsplit",
    "unpack", "unstack", "depthtospace", "depth_to_space", "spacetodepth", "space_to_depth",
}  # fmt: skip
_SCALING = {"mul", "multiply", "div", "divide", "realdiv"}
_SHIFTING = {"add", "addv2", "sub", "subtract", "biasadd"}
_FOLLOWED = {  # each value of these stands for one of what they read, if all else that they read is constant
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
_ADDS = {*_FILLS, "gemm"}  # optimisers make one of a product and a sum
MASKING = {
    "mul", "multiply", "div", "divide", "expand", "broadcast", "broadcastto", "broadcast_to", "tile", "gather",
    *_FILLS, *_MOVES,
}  # fmt: skip


class FloatGroup(Noun, frozen=True, kw_only=True):
    """Nodes that stay in floats together.

    Attributes:
        kind: `ENDS`, `MASKS`, `FILLS` or `OFFSETS`.
        words: what they are, for a person.
        names: as `keep_float` takes them, in the model's order.
    """

    kind: str
    words: str
    names: tuple[str, ...]


class Keepable(Noun, frozen=True, kw_only=True):
    """What can stay in floats, by names that `keep_float` takes, in the model's order.

    Attributes:
        layers: convolutions and dense layers.
    """

    layers: tuple[str, ...] = ()
    groups: tuple[FloatGroup, ...] = ()


def groups(
    graph: Sequence[Operation], *, products: bool = False, measured: bool = False
) -> tuple[FloatGroup, ...]:
    """Those that a model has, at most one of each kind.

    Args:
        graph: in an order in which it can be computed.
        products: whether the products that are masked belong to the masks.
        measured: whether the operations have widths: only what differs in width is at stake then, and fills and offsets are found.
    """
    readers: dict[str, list[Operation]] = {}
    for one in graph:
        for name in one.takes:
            readers.setdefault(name, []).append(one)
    masks = _to_softmax(graph, readers)
    fills = _filled(graph, readers) - masks if measured else set()
    offsets = {one.name for one in graph if _narrows(one)} - masks - fills
    found = (
        _ends(graph, measured, masks | fills | offsets),
        _masks(graph, masks, products),
        _group(graph, FILLS, "what a large constant fills", fills),
        _group(graph, OFFSETS, "what takes an offset away", offsets),
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
    """What moves, scales or shifts data before an output, from the first joins on."""
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
    if one.fixed or _plain(one) not in _FOLLOWED:
        return False
    moving = {name for name in one.takes if name in makers and not makers[name].fixed}
    return _plain(one) in _MOVES or (len(moving) == 1 and len(one.widths) <= 1)


def _parts(one: Operation, measured: bool) -> bool:
    """Whether its result has parts that differ in range, or may have."""
    if _plain(one) in _JOINS:
        return not measured or _wider(one, APART)
    if _plain(one) in _SCALING:
        return one.spread >= APART
    return _plain(one) in _SHIFTING and any(0 < width * APART <= one.spread for width in one.widths)


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
    """Whether the result is so many times as wide as something that it is made of."""
    return any(0 < width * times <= one.width for width in one.widths)


def _masks(graph: Sequence[Operation], found: set[str], products: bool) -> FloatGroup | None:
    if not found:
        return None
    many = sum(one.name in found and _plain(one) in _SOFTMAX for one in graph)
    words = "what masks the Softmax" if many == 1 else f"what masks {many} Softmaxes"
    with_them = found | _products(graph, found) if products else found
    return FloatGroup(kind=MASKS, words=words, names=_names(graph, with_them))


def _group(graph: Sequence[Operation], kind: str, words: str, found: set[str]) -> FloatGroup | None:
    names = _names(graph, found)
    return FloatGroup(kind=kind, words=words, names=names) if names else None


def _narrows(one: Operation) -> bool:
    """Whether constants that it adds take most of the width away."""
    moved = _plain(one) in _SHIFTING and not one.fixed and len(one.widths) == 1
    return moved and 0 < one.width * APART <= one.widths[0]


def _to_softmax(graph: Sequence[Operation], readers: dict[str, list[Operation]]) -> set[str]:
    """From large constants, or from where a mask that is an input is added, to the Softmaxes behind them."""
    reaches = _reaching(graph, readers)
    pending = [one for one in graph if (_starts(one) or _drowned(one)) and reaches[one.name]]
    found: set[str] = set()
    while pending:
        one = pending.pop()
        if one.name not in found:
            found.add(one.name)
            after = readers.get(one.name, ()) if _plain(one) in MASKING else ()
            pending += [two for two in after if reaches[two.name]]
    return found


def _reaching(graph: Sequence[Operation], readers: dict[str, list[Operation]]) -> dict[str, bool]:
    """Whether a Softmax stands behind each of them, and nothing between but what may be part of a mask."""
    reaches: dict[str, bool] = {}
    for one in reversed(graph):
        through = _plain(one) in MASKING and any(reaches.get(two.name) for two in readers.get(one.name, ()))
        reaches[one.name] = _plain(one) in _SOFTMAX or through
    return reaches


def _drowned(one: Operation) -> bool:
    """Whether one of the things that it adds, or chooses from, is so wide that nothing is left of another."""
    return _plain(one) in _FILLS and one.width >= LARGE and _wider(one, LOST)


def _filled(graph: Sequence[Operation], readers: dict[str, list[Operation]]) -> set[str]:
    """What a large constant fills so that nothing is left of what it is put beside, and what then reads that.

    As an infinity before a maximum, or where an answer is not allowed.
    """
    carrying = carriers(graph)
    lost = {one.name for one in graph if one.name in carrying and _plain(one) in _ADDS and _wider(one, LOST)}
    filled = set(lost)
    for one in graph:
        if one.name in carrying and filled & set(one.takes) and not is_layer(one):
            filled.add(one.name)
    for one in reversed(graph):  # and the constant's own way there
        leads = any(two.name in filled for two in readers.get(one.name, ()))
        if leads and one.name in carrying and _plain(one) in MASKING and one.width >= LARGE:
            filled.add(one.name)
    return filled


def in_doubt(graph: Sequence[Operation]) -> set[str]:
    """Names of those whose widths decide on masks and fills: what carries a large constant, and what may add a mask that is an input."""
    readers: dict[str, list[Operation]] = {}
    for one in graph:
        for name in one.takes:
            readers.setdefault(name, []).append(one)
    reaches = _reaching(graph, readers)
    return carriers(graph) | {one.name for one in graph if _plain(one) in _FILLS and reaches[one.name]}


def may_fill(graph: Sequence[Operation]) -> bool:
    """Whether a large constant may fill something: only measurements tell."""
    carrying = carriers(graph)
    return any(one.name in carrying and _plain(one) in _FILLS for one in graph)


def least_share(graph: Sequence[Operation], group: FloatGroup) -> float:
    """How much of the range of the whole the narrowest part of an output takes, of ends that are measured."""
    least = 1.0
    for one in graph:
        if one.name not in group.names:
            continue
        if _plain(one) in _JOINS and one.width > 0:
            least = min([least, *(width / one.width for width in one.widths if width > 0)])
        elif _plain(one) in _SCALING and one.spread > 0:
            least = min(least, 1 / one.spread)
        elif _plain(one) in _SHIFTING and one.spread > 0:
            least = min([least, *(width / one.spread for width in one.widths if width > 0)])
    return least


def carriers(graph: Sequence[Operation]) -> set[str]:
    """Names of what reads a large constant, as it is or moved, scaled, added or chosen; where widths are known, as long as it is there."""
    readers: dict[str, list[Operation]] = {}
    found = {one.name for one in graph if _starts(one)}
    for one in graph:
        for name in one.takes:
            readers.setdefault(name, []).append(one)
    for one in graph:
        passes = _plain(one) in MASKING or _plain(one) in _ADDS
        if one.name in found and passes and (one.width >= LARGE or not one.widths):
            found |= {two.name for two in readers.get(one.name, ())}
    return found


def _starts(one: Operation) -> bool:
    return one.largest >= LARGE and _plain(one) in MASKING and not one.fixed


def _products(graph: Sequence[Operation], masks: set[str]) -> set[str]:
    """The layers whose results are masked, as they are or scaled."""
    makers = {one.name: one for one in graph}
    found: set[str] = set()
    seen: set[str] = set()
    pending = [makers[name] for name in masks]
    while pending:
        for one in (makers[name] for name in pending.pop().takes if name in makers):
            if is_layer(one):
                found.add(one.name)
            elif _plain(one) in MASKING and one.name not in seen:
                seen.add(one.name)
                pending.append(one)
    return found


def _plain(one: Operation) -> str:
    return one.operator.lower()


def _names(graph: Iterable[Operation], found: set[str]) -> tuple[str, ...]:
    return tuple(one.name for one in graph if one.name in found and _plain(one) not in _UNROUNDED)


def _listed(outputs: Sequence[str]) -> str:
    more = f" and {len(outputs) - 2} more" if len(outputs) > 2 else ""
    return ", ".join(outputs[:2]) + more
