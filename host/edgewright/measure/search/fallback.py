"""The preset for an int8 that loses too much: which precision is the nearest one that does not.

In order: int8 with each calibration method; fp32, which names the layers; int8-mixed with one layer in floats, each in
turn; with the worst of them together, as few as will do; 16-bit activations; 16-bit floats.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence

from edgewright.measure.search.engine import Move, Preset, Trial
from edgewright.nouns.base import Noun

MOST_SINGLE = 16  # layers tried one by one; beyond, blocks of them are tried first
BLOCKS = 8
COSTS = {
    "int8": 0.0,
    "int8-mixed": 1.0,
    "int16x8": 2.0,
    "fp16": 3.0,
    "fp32": 4.0,
}  # speed, roughly, best first

Layers = Callable[[Move], Sequence[str]]


class Choices(Noun, frozen=True, kw_only=True):
    """What a target has: its precisions from this source that can do what was asked for, and its calibration methods,
    the wanted one first.
    """

    precisions: tuple[str, ...]
    methods: tuple[str, ...]


def moves(choices: Choices, layers: Layers) -> Preset:
    """The moves, best first; ends at the first precision that is good enough.

    Args:
        layers: names of the layers, in the model's order, from what the fp32 move makes, tried or not.
    """
    tried: list[Trial] = []
    for method in choices.methods:
        trial = yield move("int8", method)
        if trial.verdict.ok:
            return
        tried.append(trial)
    method = choices.methods[tried.index(max(tried, key=_exactness))]
    plain, made = move("fp32", method), True
    if "fp32" in choices.precisions:
        trial = yield plain
        made = bool(trial.verdict.artifact)
    if "int8-mixed" in choices.precisions and made:
        found = yield from _mixed(layers(plain), method)
        if found:
            return
    for precision in ("int16x8", "fp16"):
        if precision in choices.precisions:
            trial = yield move(precision, method)
            if trial.verdict.ok:
                return


def move(precision: str, method: str, keep: Sequence[str] = ()) -> Move:
    """One move; its label names the layers that are kept as long as they are few."""
    label = precision if precision in ("fp32", "fp16") else f"{precision}, {method}"
    if keep:
        short = [name.split(";")[0] for name in keep]  # LiteRT joins the names of what it has fused
        label += f", in floats: {', '.join(short[:2])}"
        label += f" and {len(keep) - 2} more" if len(keep) > 2 else ""
    return Move(
        label=label,
        settings={"precision": precision, "calibration_method": method, "keep_float": tuple(keep)},
    )


def cost(settings: dict[str, object], layers: int) -> float:
    """How dear a move is on a board, roughly: by precision, and by the share of layers in floats."""
    kept = settings.get("keep_float")
    share = len(kept) / max(layers, len(kept), 1) if isinstance(kept, tuple) else 0.0
    return COSTS.get(str(settings.get("precision")), max(COSTS.values())) + 0.9 * share


def _mixed(layers: Sequence[str], method: str) -> Generator[Move, Trial, bool]:
    """Leaves layers in floats. Returns whether some choice of them is good enough."""
    if len(layers) < 2:
        return False
    if len(layers) > MOST_SINGLE:
        blocks, done = yield from _ranked(_blocks(layers), method)
        if done and len(blocks[0]) == 1:
            return True
        layers = [name for block in blocks[:2] for name in block] if blocks else layers[:MOST_SINGLE]
    singles, done = yield from _ranked([(name,) for name in _ends_first(layers)], method)
    if done:
        return True
    return (yield from _together([name for (name,) in singles], method))


def _ranked(
    groups: Sequence[tuple[str, ...]], method: str
) -> Generator[Move, Trial, tuple[list[tuple[str, ...]], bool]]:
    """Tries each group of layers in floats. Returns (groups, the one that helps most first, whether one will do)."""
    found: list[tuple[float, tuple[str, ...]]] = []
    for group in groups:
        trial = yield move("int8-mixed", method, group)
        if trial.verdict.ok:
            return [group], True
        if trial.verdict.figures.get("sqnr_db") is not None:
            found.append((_exactness(trial), group))
    found.sort(key=lambda pair: -pair[0])  # stable: of equals the earlier one
    return [group for _, group in found], False


def _together(ranked: Sequence[str], method: str) -> Generator[Move, Trial, bool]:
    """The worst 2, 4, 8, ... layers in floats, half of all at most; once that will do, fewer by halving the interval."""
    most = max(2, len(ranked) // 2)
    failed, count = 1, 2
    while True:
        count = min(count, most, len(ranked))
        if count <= failed:
            return False
        trial = yield move("int8-mixed", method, ranked[:count])
        if trial.verdict.ok:
            break
        failed, count = count, 2 * count
    while count - failed > 1:
        middle = (failed + count) // 2
        trial = yield move("int8-mixed", method, ranked[:middle])
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
