"""The preset for an int8 model that loses too much: finds the nearest precision that does not.

In order: int8 with each calibration method; fp32, which names the layers; int8-mixed with a group of nodes without weights
in floats, where the model has one (`compile.graph.float_groups`); with one layer in floats, each in turn, and the group that
helps; with the worst of them together, as few as will do; then those that cost more, such as 16-bit activations.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence

from edgewright.compile.graph.float_groups import ENDS, FloatGroup, Keepable
from edgewright.errors import Code
from edgewright.measure.search.engine import Move, Preset, Trial
from edgewright.nouns.base import Noun
from edgewright.precisions import EXACT, INT8, MIXED, PRECISIONS

MOST_SINGLE = 16  # layers tried one by one; beyond, blocks of them are tried first
BLOCKS = 8

_LEVELS = Code.LEVELS  # code of the error for parts of an output that keep too few levels
_HELPS_DB = 1.0  # by less than this a group does not count as a help

ToKeep = Callable[[Move], Keepable]


class Choices(Noun, frozen=True, kw_only=True):
    """What a target has: its precisions from this source that can do what was asked for, and its calibration methods,
    the wanted one first.
    """

    precisions: tuple[str, ...]
    methods: tuple[str, ...]


class _Base(Noun, frozen=True, kw_only=True):
    """What is common to candidates of int8-mixed: the calibration, and a group in floats with its words, or none."""

    method: str
    keep: tuple[str, ...] = ()
    words: str = ""

    def move(self, layers: Sequence[str] = ()) -> Move:
        return move(MIXED.name, self.method, layers, group=self.keep, words=self.words)


def moves(choices: Choices, to_keep: ToKeep) -> Preset:
    """The moves, best first; ends at the first precision that is good enough.

    Args:
        to_keep: what can stay in floats, from what the fp32 move makes, tried or not.
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
    for precision in _dearer(choices.precisions):
        trial = yield move(precision, method)
        if trial.verdict.ok:
            return


def _dearer(names: Sequence[str]) -> list[str]:
    """Those that cost more than a mixed one and less than 32-bit floats, the cheapest first."""
    costs = {name: PRECISIONS[name].cost for name in names}
    return sorted((name for name in names if MIXED.cost < costs[name] < EXACT.cost), key=costs.__getitem__)


def move(
    precision: str, method: str, keep: Sequence[str] = (), *, group: Sequence[str] = (), words: str = ""
) -> Move:
    """One move; its label names the layers that are kept as long as they are few.

    Args:
        group: nodes that stay in floats besides. words: what they are.
    """
    label = f"{precision}, {method}" if PRECISIONS[precision].calibrated else precision
    short = [name.split(";")[0] for name in keep]  # LiteRT joins the names of what it has fused
    kept = [words] if words else []
    kept += [", ".join(short[:2]) + (f" and {len(keep) - 2} more" if len(keep) > 2 else "")] if keep else []
    label += f", in floats: {'; '.join(kept)}" if kept else ""
    settings = {"precision": precision, "calibration_method": method, "keep_float": (*group, *keep)}
    return Move(label=label, settings=settings)


def cost(settings: dict[str, object], layers: int) -> float:
    """How dear a move is on a board, roughly: by precision, and by the share of layers in floats."""
    kept = settings.get("keep_float")
    share = len(kept) / max(layers, len(kept), 1) if isinstance(kept, tuple) else 0.0
    return PRECISIONS[str(settings["precision"])].cost + 0.9 * share


def _mixed(found: Keepable, method: str, int8: Trial) -> Generator[Move, Trial, bool]:
    """Leaves groups and layers in floats. Returns whether some choice of them is good enough."""
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
    return (yield from _together([name for (name,) in singles], base))


def _grouped(
    groups: Sequence[FloatGroup], method: str, int8: Trial
) -> Generator[Move, Trial, tuple[_Base, bool]]:
    """Tries the groups in floats. Returns (the choice that helps most, none where none does; whether it will do)."""
    best, least = _Base(method=method), (not _coarse(int8), _exactness(int8) + _HELPS_DB)
    for base in _choices(groups, method, _coarse(int8)):
        trial = yield base.move()
        if trial.verdict.ok:
            return base, True
        reached = (not _coarse(trial), _exactness(trial))
        if trial.verdict.figures.get("sqnr_db") is not None and reached > least:
            best, least = base, reached
    return best, False


def _choices(groups: Sequence[FloatGroup], method: str, coarse: bool) -> list[_Base]:
    """The groups one by one, then all together; with too few levels at an output, none without what ends there."""
    alone = sorted(groups, key=lambda group: (group.kind == ENDS) != coarse)
    sets: list[tuple[FloatGroup, ...]] = [(group,) for group in alone if not coarse or group.kind == ENDS]
    sets += [tuple(groups)] if len(groups) > 1 else []
    return [
        _Base(
            method=method,
            keep=tuple(dict.fromkeys(name for group in chosen for name in group.names)),
            words=", ".join(group.words for group in chosen),
        )
        for chosen in sets
    ]


def _coarse(trial: Trial) -> bool:
    return trial.verdict.code == _LEVELS


def _ranked(
    groups: Sequence[tuple[str, ...]], base: _Base
) -> Generator[Move, Trial, tuple[list[tuple[str, ...]], bool]]:
    """Tries each group of layers in floats. Returns (groups, the one that helps most first, whether one will do)."""
    found: list[tuple[float, tuple[str, ...]]] = []
    for group in groups:
        trial = yield base.move(group)
        if trial.verdict.ok:
            return [group], True
        if trial.verdict.figures.get("sqnr_db") is not None:
            found.append((_exactness(trial), group))
    found.sort(key=lambda pair: -pair[0])  # stable: of equals the earlier one
    return [group for _, group in found], False


def _together(ranked: Sequence[str], base: _Base) -> Generator[Move, Trial, bool]:
    """The worst 2, 4, 8, ... layers in floats, half of all at most; once that will do, fewer by halving the interval."""
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
    """The first and the last layer are those that quantisation hurts most often."""
    return [layers[0], layers[-1], *layers[1:-1]] if len(layers) > 1 else list(layers)


def exactness(figures: Mapping[str, float | None]) -> float:
    """How near a candidate is, dB: by its worst output or slice, where that is known."""
    value = figures.get("least_db", figures.get("sqnr_db"))
    return -1e9 if value is None else value


def _exactness(trial: Trial) -> float:
    return exactness(trial.verdict.figures)
