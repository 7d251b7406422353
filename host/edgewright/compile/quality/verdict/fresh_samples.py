"""Confirms lost slices on fresh samples.

The references come from the source's worker by a file, the answers from the target's; neither holds more than one sample's.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.data import goldens
from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.quality.verdict import sentinels
from edgewright.compile.quality.verdict.decibels import decibel, plain
from edgewright.compile.quality.verdict.judge import Judged, Suspect
from edgewright.compile.quality.verdict.slices import FLOORS, slices
from edgewright.compile.quality.verdict.sums import Sums
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LEAST, MOST = 64, 128
_MAX_BYTES = 256 * 1024**2  # of references


def chosen(samples: SampleSet, golden_inputs: Sequence[Array], outputs: Sequence[TensorSpec]) -> list[int]:
    """Places in the stream of samples of those that are not goldens, at most `MOST`, evenly spread.

    Args:
        outputs: those whose references will be kept.
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
    """The samples in these places of the stream."""
    wanted = set(places)
    return (sample for place, sample in enumerate(samples.stream()) if place in wanted)


def lost(
    judged: Mapping[int, Judged], answers: Iterator[tuple[Mapping[int, Array], Mapping[int, Array]]]
) -> dict[int, tuple[Suspect, ...]]:
    """Which suspects of some outputs are lost on other samples.

    Args:
        judged: by output.
        answers: (references, outputs) of one sample after another, real values in float64, by output.
    """
    import numpy as np

    sums = {output: Sums(one.centre) for output, one in judged.items() if one.centre is not None}
    for references, outputs in answers:
        for output, one in judged.items():
            reference, answer = references[output], outputs[output]
            used = ~sentinels.away(reference, one.verdict.limits.apart)
            used &= np.isfinite(reference)
            finite = np.where(np.isfinite(answer), answer, np.inf)  # no answer at all is as far as any can be
            sums[output].add(np.where(used, reference, 0.0), np.where(used, finite, 0.0), used)
    return {output: tuple(_confirmed(one, sums[output])) for output, one in judged.items()}


def _confirmed(judged: Judged, sums: Sums) -> Iterator[Suspect]:
    floor = sums.count * (0.0 if judged.floor is None else judged.floor)
    quiet = {one.axis: one.quiet for one in judged.suspects}
    along = {axis: slices(sums, floor, axis, least) for axis, least in quiet.items() if axis is not None}
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
    """References by output, one a sample."""
    import numpy as np

    goldens.write_npz(path, ((f"output_{output}", np.stack(rows)) for output, rows in references.items()))
