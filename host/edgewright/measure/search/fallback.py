"""The preset for an int8 model that loses too much: finds the nearest precision that does not.

It tries, in order: int8 with each calibration method; fp32, which names the layers; int8-mixed with a group of nodes without
weights in floats, if the model has one (`compile.graph.float_groups`); with one layer in floats, each in turn, and the group
that helps; with the worst layers together, as few as possible; then costlier precisions, such as 16-bit activations.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence

from edgewright.compile.graph.float_groups import ENDS, FloatGroup, Keepable
from edgewright.errors import Code
from edgewright.measure.search.engine import Move, Preset, Trial
from edgewright.nouns.base import Noun
from edgewright.precisions import EXACT, INT8, MIXED, PRECISIONS

MOST_SINGLE = 16  # layers tried one by one; with more, blocks of them are tried first
BLOCKS = 8

_LEVELS = Code.LEVELS  # code of the error for parts of an output with too few levels
_HELPS_DB = 1.0  # a group must improve the exactness by this much

ToKeep = Callable[[Move], Keepable]


class Choices(Noun, frozen=True, kw_only=True):
    """A target's precisions from this source that meet the request, and its calibration methods,
    the requested one first.
    """

    precisions: tuple[str, ...]
    methods: tuple[str, ...]


class _MixedBase(Noun, frozen=True, kw_only=True):
    """What candidates of int8-mixed share: the calibration method, and a group in floats (or none) with its description."""

    method: str
    keep: tuple[str, ...] = ()
    words: str = ""

    def move(self, layers: Sequence[str] = ()) -> Move:
        return move(MIXED.name, self.method, layers, group=self.keep, words=self.words)


def moves(choices: Choices, to_keep: ToKeep) -> Preset:
    """The moves, in order of preference; ends at the first one that is good enough.

    Args:
        to_keep: returns what can stay in floats, from the artifact of the fp32 move, whether that was tried or not.
    """
    tried: list[Trial] = []
    for method in choices.methods:
        trial = yield move(INT8.name, method)
        if trial.verdict.ok:
            return
        tried.append(trial)
    nearest = max(tried, key=_exactness)
    method = choices.methods[tried.index(nearest)]
    plain, made = move(EXACT.name, method), True
    if EXACT.name in choices.precisions:
        trial = yield plain
        made = bool(trial.verdict.artifact)
    if MIXED.name in choices.precisions and made:
        found = yield from _mixed(to_keep(plain), method, nearest)
        if found:
            return
    for precision in _costlier(choices.precisions):
        trial = yield move(precision, method)
        if trial.verdict.ok:
            return


def _costlier(names: Sequence[str]) -> list[str]:
    """The precisions that cost more than a mixed one and less than 32-bit floats, cheapest first."""
    costs = {name: PRECISIONS[name].cost for name in names}
    return sorted((name for name in names if MIXED.cost < costs[name] < EXACT.cost), key=costs.__getitem__)


def move(
    precision: str, method: str, keep: Sequence[str] = (), *, group: Sequence[str] = (), words: str = ""
) -> Move:
    """One move. Its label lists the layers that are kept in floats, up to a few.

    Args:
        group: nodes that also stay in floats.
        words: a description of the group.
    """
    label = f"{precision}, {method}" if PRECISIONS[precision].calibrated else precision
    short = [name.split(";")[0] for name in keep]  # LiteRT joins the names of the layers that it fused
    kept = [words] if words else []
    kept += [", ".join(short[:2]) + (f" and {len(keep) - 2} more" if len(keep) > 2 else "")] if keep else []
    label += f", in floats: {'; '.join(kept)}" if kept else ""
    settings = {"precision": precision, "calibration_method": method, "keep_float": (*group, *keep)}
    return Move(label=label, settings=settings)


def cost(settings: dict[str, object], layers: int) -> float:
    """The rough cost of a move on a board, by precision and by the share of layers in floats."""
    kept = settings.get("keep_float")
    share = len(kept) / max(layers, len(kept), 1) if isinstance(kept, tuple) else 0.0
    return PRECISIONS[str(settings["precision"])].cost + 0.9 * share


def _mixed(found: Keepable, method: str, int8: Trial) -> Generator[Move, Trial, bool]:
    """Keeps groups and layers in floats. Returns whether some choice of them is good enough."""
    base, done = yield from _grouped(found.groups, method, int8)
    if done:
        return True
    layers: Sequence[str] = [name for name in found.layers if name not in base.keep]
    if len(layers) < 2:
        return False
    if len(layers) > MOST_SINGLE:
        blocks, done = yield from _ranked(_blocks(layers), base)
        if done and len(blocks[0]) == 1:
            return True
        layers = [name for block in blocks[:2] for name in block] if blocks else layers[:MOST_SINGLE]
    singles, done = yield from _ranked([(name,) for name in _ends_first(layers)], base)
    if done:
        return True
    return (yield from _fewest_of_worst([name for (name,) in singles], base))


def _grouped(
    groups: Sequence[FloatGroup], method: str, int8: Trial
) -> Generator[Move, Trial, tuple[_MixedBase, bool]]:
    """Tries the groups in floats. Returns (the choice that helps most, or no group if none helps; whether it is good enough)."""
    best, least = _MixedBase(method=method), (not _coarse(int8), _exactness(int8) + _HELPS_DB)
    for base in _choices(groups, method, _coarse(int8)):
        trial = yield base.move()
        if trial.verdict.ok:
            return base, True
        reached = (not _coarse(trial), _exactness(trial))
        if trial.verdict.figures.get("sqnr_db") is not None and reached > least:
            best, least = base, reached
    return best, False


def _choices(groups: Sequence[FloatGroup], method: str, coarse: bool) -> list[_MixedBase]:
    """The groups one by one, then all together; if an output has too few levels, only choices that include the group of ends."""
    alone = sorted(groups, key=lambda group: (group.kind == ENDS) != coarse)
    sets: list[tuple[FloatGroup, ...]] = [(group,) for group in alone if not coarse or group.kind == ENDS]
    sets += [tuple(groups)] if len(groups) > 1 else []
    return [
        _MixedBase(
            method=method,
            keep=tuple(dict.fromkeys(name for group in chosen for name in group.names)),
            words=", ".join(group.words for group in chosen),
        )
        for chosen in sets
    ]


def _coarse(trial: Trial) -> bool:
    return trial.verdict.code == _LEVELS


def _ranked(
    groups: Sequence[tuple[str, ...]], base: _MixedBase
) -> Generator[Move, Trial, tuple[list[tuple[str, ...]], bool]]:
    """Tries each group of layers in floats. Returns (the groups, most helpful first; whether one is good enough)."""
    found: list[tuple[float, tuple[str, ...]]] = []
    for group in groups:
        trial = yield base.move(group)
        if trial.verdict.ok:
            return [group], True
        if trial.verdict.figures.get("sqnr_db") is not None:
            found.append((_exactness(trial), group))
    found.sort(key=lambda pair: -pair[0])  # stable: among equals the earlier one stays first
    return [group for _, group in found], False


def _fewest_of_worst(ranked: Sequence[str], base: _MixedBase) -> Generator[Move, Trial, bool]:
    """Tries the worst 2, 4, 8, ... layers in floats, at most half of all; once that is good enough, finds fewer by bisection."""
    most = max(2, len(ranked) // 2)
    failed, count = 1, 2
    while True:
        count = min(count, most, len(ranked))
        if count <= failed:
            return False
        trial = yield base.move(ranked[:count])
        if trial.verdict.ok:
            break
        failed, count = count, 2 * count
    while count - failed > 1:
        middle = (failed + count) // 2
        trial = yield base.move(ranked[:middle])
        if trial.verdict.ok:
            count = middle
        else:
            failed = middle
    return True


def _blocks(layers: Sequence[str]) -> list[tuple[str, ...]]:
    size = -(-len(layers) // BLOCKS)
    return [tuple(layers[start : start + size]) for start in range(0, len(layers), size)]


def _ends_first(layers: Sequence[str]) -> list[str]:
    """The layers with the first and the last one in front: quantisation hurts those most often."""
    return [layers[0], layers[-1], *layers[1:-1]] if len(layers) > 1 else list(layers)


def exactness(figures: Mapping[str, float | None]) -> float:
    """The exactness of a candidate, dB: that of its worst output or slice, if known."""
    value = figures.get("least_db", figures.get("sqnr_db"))
    return -1e9 if value is None else value


def _exactness(trial: Trial) -> float:
    return exactness(trial.verdict.figures)
