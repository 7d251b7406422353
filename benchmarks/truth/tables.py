"""Tables of what was found, with Wilson's intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median

import measuring
from measuring import markdown, number

from truth.trials import Found, Trial
from truth.verdicts import TIMES

REAL = 0.02  # a fault is real if more than this share of the answers is another one
SOUND = 0.02  # an artifact is sound if no more than this is lost of its source's accuracy
_BANDS = ((REAL, 0.05), (0.05, 0.2), (0.2, 1.01))


def share(trials: Iterable[Trial], refused: Callable[[Trial], bool]) -> str:
    """A share in percent with its interval."""
    answers = [refused(trial) for trial in trials]
    if not answers:
        return "-"
    low, high = measuring.wilson(sum(answers), len(answers))
    return f"{100 * sum(answers) / len(answers):.0f} ({100 * low:.0f}-{100 * high:.0f})"


def real(trial: Trial) -> bool:
    """Whether a fault changes the answers."""
    return trial.disagrees > REAL


def sound(trial: Trial) -> bool:
    """Whether an artifact without a fault keeps its source's accuracy."""
    return trial.drop <= SOUND


_VERDICTS: tuple[Callable[[Trial], bool], ...] = (
    lambda trial: trial.said.today,
    lambda trial: bool(trial.said.new),
    lambda trial: trial.said.board,
    lambda trial: trial.said.nearer,
)
_HEADS = ["today %", "new %", "board's limits %", f"with {TIMES} x the host's error %"]


def faults(found: Found, kinds: Iterable[str]) -> str:
    """Detection by kind, damage, precision, target and model."""
    rows = [_row(kind, [one for one in found.faults if one.kind == kind]) for kind in kinds]
    rows.append(_row("**all**", found.faults))
    for low, high in _BANDS:
        some = [one for one in found.faults if low < one.disagrees <= high]
        rows.append(_row(f"other answers for {100 * low:.0f} to {min(100, 100 * high):.0f} %", some))
    for key in ("precision", "target", "model"):
        for name in dict.fromkeys(getattr(one, key) for one in found.faults):
            rows.append(_row(name, [one for one in found.faults if getattr(one, key) == name]))
    return markdown(
        ["fault", "planted", "real", *_HEADS, "harmless", "refused: today", "new", "board", "nearer"], rows
    )


def _row(name: str, trials: list[Trial]) -> list[object]:
    counted = [one for one in trials if real(one)]
    harmless = [one for one in trials if not real(one)]
    refused = [sum(verdict(one) for one in harmless) for verdict in _VERDICTS]
    return [name, len(trials), len(counted), *(share(counted, one) for one in _VERDICTS), len(harmless), *refused]  # fmt: skip


def false_refusals(found: Found) -> str:
    """Sound artifacts that are refused, by their goldens and their precision."""
    rows = []
    kinds = list(dict.fromkeys(one.kind for one in found.sound))
    precisions = list(dict.fromkeys(one.precision for one in found.sound))
    for name in [*kinds, *precisions, "**all**"]:
        some = [one for one in found.sound if name in (one.kind, one.precision, "**all**")]
        some = some or found.sound
        counted = [one for one in some if sound(one)]
        rows.append([name, len(some), len(counted), *(share(counted, one) for one in _VERDICTS[:2])])
    return markdown(["sound artifacts", "verdicts", "sound", *_HEADS[:2]], rows)


def kernels(found: Found) -> str:
    """Sound artifacts on other kernels that a board would refuse."""
    rows = []
    for target, name in dict.fromkeys((one.target, one.kernels) for one in found.kernels):
        some = [one for one in found.kernels if (one.target, one.kernels) == (target, name)]
        worst = min(some, key=lambda one: one.sqnr_db - one.host_db)
        loss = f"{worst.host_db - worst.sqnr_db:.1f} ({worst.model} {worst.precision}, {worst.host_db:.1f} dB on the host)"
        rows.append([f"{target}, {name}", len(some), sum(one.board for one in some), sum(one.nearer for one in some), loss])  # fmt: skip
    return markdown(
        ["kernels", "artifacts", "board refuses", "with the nearer limit", "greatest loss, dB"], rows
    )


def rules(found: Found) -> str:
    """Which rule finds what."""
    caught = [one for one in found.faults if real(one) and one.said.new]
    names = ("not finite", "levels", "whole", "following", "slices")
    rows = [
        [name, sum(name in one.said.new for one in caught), sum(one.said.new == (name,) for one in caught)]
        for name in names
    ]
    return markdown(["rule", "real faults that it refuses", "that no other does"], rows)


def cost(found: Found) -> str:
    """Seconds."""
    rows = []
    for model in dict.fromkeys(one.model for one in found.sound):
        made = [one.seconds for one in found.conversions if one.model == model and not one.refused]
        every = [one for one in (*found.sound, *found.faults) if one.model == model]
        first = [one for one in every if not one.said.asked_again]
        again = [one for one in every if one.said.asked_again]
        today = median(one.said.today_s for one in every)
        cells: list[object] = [model, f"{number(median(made))} s", f"{1000 * today:.0f} ms"]
        for some in (first, again):
            if not some:
                cells += ["-", "-"]
                continue
            ratio = median(one.said.new_s / one.said.today_s for one in some)
            cells += [f"{1000 * median(one.said.new_s for one in some):.0f} ms", f"{ratio:.2f}"]
        rows.append(cells)
    heads = ["model", "conversion", "today", "new", "/ today", "new, asked again", "/ today"]
    return markdown(heads, rows)


def missed(found: Found) -> str:
    """Real faults that the new verdict accepts, and sound artifacts that it refuses."""
    rows = [
        [f"{one.model} {one.target} {one.precision}", one.kind, one.detail, f"{100 * one.disagrees:.1f}", f"{100 * one.drop:.1f}",
         f"{one.said.sqnr_db:.1f}", f"{_least(one):.1f}", f"{100 * one.said.agreement:.0f}"]
        for one in sorted(found.faults, key=lambda one: -one.disagrees)
        if real(one) and not one.said.new
    ]  # fmt: skip
    heads = ["artifact", "fault", "which", "other answers %", "drop, points", "SQNR dB", "least figure dB", "goldens' top-1 %"]  # fmt: skip
    text = markdown(heads, rows)
    refused = [[f"{one.model} {one.target} {one.precision}", one.kind, one.said.words] for one in found.sound if one.said.new]  # fmt: skip
    return text + ("\n" + markdown(["artifact", "goldens", "refused, for"], refused) if refused else "")


def _least(trial: Trial) -> float:
    return min((one.least_db for one in trial.said.verdict if one.least_db is not None), default=0.0)
