"""Judges doubtful outputs on more samples, since there are few goldens.

The references come in a file from the source's worker, the answers from the target's worker; neither process holds those of more than one
sample in memory.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.compile.data import goldens
from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.quality.verdict import classes, sentinels
from edgewright.compile.quality.verdict.choices import Choices, Chosen
from edgewright.compile.quality.verdict.decibels import decibel, plain
from edgewright.compile.quality.verdict.judge import Judged, Suspect
from edgewright.compile.quality.verdict.limits import Rule
from edgewright.compile.quality.verdict.slices import FLOORS, slices
from edgewright.compile.quality.verdict.sums import Sums
from edgewright.compile.quality.verdict.whole import Whole
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LEAST, MOST = 64, 128
_MAX_BYTES = 256 * 1024**2  # of references


def chosen(samples: SampleSet, golden_inputs: Sequence[Array], outputs: Sequence[TensorSpec]) -> list[int]:
    """Positions in the stream of samples that are not goldens: at most `MOST`, evenly spread.

    Args:
        outputs: the outputs whose references will be kept.
    """
    import numpy as np

    seen = {_digest(row) for row in zip(*golden_inputs, strict=True)}
    found = [place for place, sample in enumerate(samples.stream()) if _digest(sample) not in seen]
    each = sum(math.prod(spec.shape) * np.dtype(spec.dtype).itemsize for spec in outputs)
    most = min(MOST, _MAX_BYTES // max(1, each))
    if len(found) <= most:
        return found
    return [found[index * len(found) // most] for index in range(most)]


def taken(samples: SampleSet, places: Sequence[int]) -> Iterator[list[Array]]:
    """The samples at these positions in the stream."""
    wanted = set(places)
    return (sample for place, sample in enumerate(samples.stream()) if place in wanted)


class Evidence(NamedTuple):
    """The evidence of other samples on one output.

    Attributes:
        suspects: the slices that are lost here too. chosen: as in `Judged`.
        low: as in `Judged`. The goldens decide, unless they differ in classes, or in single values of a choice: if a choice falls the
            other way, two of its values are far off.
        still: as in `Judged`; False if the choices that are kept prove more than a figure.
    """

    suspects: tuple[Suspect, ...] = ()
    low: bool = False
    still: bool = False
    chosen: Chosen | None = None


def evidence(
    judged: Mapping[int, Judged],
    rule: Rule,
    answers: Iterator[tuple[Mapping[int, Array], Mapping[int, Array]]],
) -> dict[int, Evidence]:
    """The evidence of other samples on doubtful outputs.

    Args:
        judged: by output.
        answers: (references, outputs) of each sample in turn: real values in float64, by output.
    """
    asked = {output: _Output(one) for output, one in judged.items()}
    for references, outputs in answers:
        for output, one in asked.items():
            one.add(references[output], outputs[output])
    return {output: one.found(rule) for output, one in asked.items()}


class _Output:
    """One output on other samples."""

    def __init__(self, judged: Judged) -> None:
        import numpy as np

        self._judged = judged
        centre = np.zeros(()) if judged.centre is None else judged.centre
        self._whole = Whole(centre, judged.reach)
        self._choices = None if judged.choice is None else Choices(judged.choice, centre.shape[judged.choice.axis])  # fmt: skip
        self._unequal = self._classes = 0

    def add(self, reference: Array, answer: Array) -> None:
        """Adds the outputs for one sample; values where the source is NaN do not count."""
        import numpy as np

        used = ~sentinels.away(reference, self._judged.verdict.limits.apart)
        used &= np.isfinite(reference)
        if self._judged.verdict.equal is not None:
            self._classes += int(used.sum())
            self._unequal += int((used & (reference != answer)).sum())
            return
        finite = np.where(np.isfinite(answer), answer, np.inf)  # a missing value counts as the largest error
        reference, answer = np.where(used, reference, 0.0), np.where(used, finite, 0.0)
        self._whole.add(reference, answer, used)
        if self._choices is not None:
            self._choices.add(reference, answer, used)

    def found(self, rule: Rule) -> Evidence:
        """The verdict on these samples."""
        import numpy as np

        judged, whole = self._judged, self._whole
        if judged.verdict.equal is not None:
            return Evidence(low=self._unequal > classes.most_unequal(self._classes, rule.equal))
        exact = np.zeros(()) if judged.exact is None else judged.exact
        chosen = None if self._choices is None else self._choices.found
        proven = chosen is not None and chosen.proven(rule.equal)
        few = whole.error <= whole.most_error(rule)
        return Evidence(
            suspects=tuple(_confirmed(judged, whole.sums, whole.sums.count * exact, rule)),
            low=judged.low and not (judged.near and proven and few),
            still=judged.still and (judged.blind or not proven),
            chosen=chosen,
        )


def _confirmed(judged: Judged, sums: Sums, floor: Array, rule: Rule) -> Iterator[Suspect]:
    quiet = {one.axis: one.quiet for one in judged.suspects}
    along = {
        axis: slices(sums, floor, axis, least, rule.slices_db(judged.verdict.following_db))
        for axis, least in quiet.items()
        if axis is not None
    }
    for suspect in judged.suspects:
        if suspect.axis is None:
            signal, noise = float(sums.signal.sum()), float(sums.noise.sum())
            tested = signal > FLOORS * float(floor.sum())
        else:
            part = along[suspect.axis]
            signal, noise = float(part.signal[suspect.at]), float(part.noise[suspect.at])
            tested = bool(noise >= part.allowed[suspect.at])
        if tested and (suspect.axis is not None or noise >= signal):
            yield suspect._replace(signal_db=plain(decibel(signal, noise)))


def _digest(sample: Sequence[Array]) -> bytes:
    return hashlib.sha256(b"".join(array.tobytes() for array in sample)).digest()


def write(path: Path, references: Mapping[int, list[Array]]) -> None:
    """Writes the references of each output, one per sample."""
    import numpy as np

    goldens.write_npz(path, ((f"output_{output}", np.stack(rows)) for output, rows in references.items()))
