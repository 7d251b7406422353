"""The ladder: precisions and targets first, then what needs no labels, then training with fewer and fewer channels, until the budget holds."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from edgewright.errors import Code
from edgewright.measure.search.engine import Move, Preset, Trial
from edgewright.nouns.base import Noun
from edgewright.precisions import PRECISIONS

SHARES = (0.25, 0.5, 0.75)  # of the channels that are removed
_UNLIKE = (Code.PARITY, Code.LEVELS)  # what a conversion refuses as unlike its source
PRECISION, LABEL_FREE, CHANNELS, RECOVERY = "precision", "label-free", "channels", "recovery"  # rungs


class Kind(Noun, frozen=True, kw_only=True):
    """What a model is compiled to: target and precision."""

    target: str
    precision: str


class Choices(Noun, frozen=True, kw_only=True):
    """What the ladder may use.

    Attributes:
        kinds: in the order in which they are tried: the most exact first.
        label_free: there are inputs, and a network whose weights can be changed.
        training: there are a network that can be trained, and data for that. channels: its channels can be removed.
        epochs: of each step that trains.
    """

    kinds: tuple[Kind, ...]
    label_free: bool
    training: bool
    channels: bool
    epochs: int


def moves(choices: Choices) -> Preset:
    """The moves, in order; ends at the first one that keeps the budget.

    Precisions end at a file that only has too many multiplications: no other precision has fewer. A file of integers that is only too
    inaccurate, or that is unlike its source, is recovered first: without labels, then by training. Then channels are removed, for the kind
    of file that came nearest to the budget. If a file is then small enough but not accurate enough, the same network also learns from the
    original; if that is not enough, removing more cannot be.
    """
    tried: list[Trial] = []
    for kind in choices.kinds:
        tried.append((yield move(kind)))
        if tried[-1].verdict.ok:
            return
        if tried[-1].verdict.figures.get("heavy"):
            break
    for kind in [_kind(trial) for trial in tried if _can_recover(trial)]:
        for rung, steps in _integer_rungs(choices):
            tried.append((yield move(kind, rung, steps)))
            if tried[-1].verdict.ok:
                return
    made = [trial for trial in tried if trial.verdict.artifact]
    if choices.training and choices.channels and made:
        yield from _smaller(_kind(max(made, key=lambda trial: trial.verdict.rank)), choices.epochs)


def _smaller(kind: Kind, epochs: int) -> Generator[Move, Trial, None]:
    for share in SHARES:
        trial = yield move(kind, CHANNELS, _channels(share, epochs))
        if trial.verdict.ok:
            return
        if not _only_inaccurate(trial):
            continue
        trial = yield move(kind, RECOVERY, _recovery(kind, share, epochs))
        if trial.verdict.ok or not trial.verdict.artifact or _inaccurate(trial):
            return


def _kind(trial: Trial) -> Kind:
    settings = trial.move.settings
    return Kind(target=settings["target"], precision=settings["precision"])


def _only_inaccurate(trial: Trial) -> bool:
    """Whether a candidate keeps all limits but that on the drop."""
    return bool(trial.verdict.artifact) and trial.verdict.figures.get("missed") == 0


def _can_recover(trial: Trial) -> bool:
    """Whether a candidate is a file of integers that is only too inaccurate, or unlike its source."""
    calibrated = PRECISIONS[_kind(trial).precision].calibrated
    return calibrated and (_only_inaccurate(trial) or trial.verdict.code in _UNLIKE)


def _inaccurate(trial: Trial) -> bool:
    return trial.verdict.figures.get("dropped") != 0


def _integer_rungs(choices: Choices) -> list[tuple[str, list[dict[str, Any]]]]:
    """What makes a file of integers more accurate, the cheapest first."""
    found: list[tuple[str, list[dict[str, Any]]]] = []
    if choices.label_free:
        found.append((LABEL_FREE, [{"use": "equalise"}, {"use": "correct-bias"}]))
    if choices.training:
        found.append((RECOVERY, [{"use": "qat", "epochs": choices.epochs, "soft": 0.5}]))
    return found


def _channels(share: float, epochs: int) -> list[dict[str, Any]]:
    return [{"use": "prune-channels", "share": share, "epochs": epochs}]


def _recovery(kind: Kind, share: float, epochs: int) -> list[dict[str, Any]]:
    steps = [*_channels(share, epochs), {"use": "distill", "epochs": epochs}]
    return [*steps, {"use": "qat", "epochs": epochs}] if PRECISIONS[kind.precision].calibrated else steps


def move(kind: Kind, rung: str = PRECISION, steps: Sequence[dict[str, Any]] = ()) -> Move:
    """One move."""
    words = [f"channels -{one['share']:.0%}" if "share" in one else one["use"] for one in steps]
    label = ", ".join([*words, f"{kind.target} {kind.precision}"])
    return Move(
        label=label,
        settings={"rung": rung, "target": kind.target, "precision": kind.precision, "steps": list(steps)},
    )
