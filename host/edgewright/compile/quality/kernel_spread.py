"""Measures how far the kernels of a quantised source's own runtime disagree.

A runtime's reference, optimised and delegated kernels round differently, and each of them is correct. The verdict allows for
these differences: a file that is passed through unchanged must not be refused for its own runtime's rounding.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.data import goldens
from edgewright.compile.formats import FORMATS
from edgewright.compile.quality.verdict import classes
from edgewright.compile.quality.verdict.decibels import decibel
from edgewright.compile.quality.verdict.judge import NONE, Disagreement
from edgewright.compile.tasks.source import SourceRef, opened
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

FILE = "kernels.npz"
_NOTED_DB = 30.0  # signal-to-noise ratio between kernels; higher ones are not worth a note
SECONDS = 10.0  # for all kernels together


def let_in(
    workers: Workers, source: SourceRef, file: Path, specs: tuple[int, tuple[TensorSpec, ...]], scratch: Path
) -> tuple[list[str], list[str]]:
    """Measures on the goldens how far the kernels disagree, and writes it to `scratch` / `FILE`.

    Classes on which they disagree no longer count: the goldens are updated.

    Args:
        file: the goldens.
        specs: the number of inputs, and the artifact's outputs.
        scratch: a folder for files.

    Returns:
        (notes for the manifest, causes for which the next run may give other bytes).
    """
    import numpy as np

    inputs, outputs = specs
    distances, late = _measured(workers, source, file, (inputs, len(outputs)), scratch)
    if not distances:
        return [], []
    given, references = goldens.load(file, inputs, len(outputs))
    counts, notes, found = goldens.counted(file, references), [], []
    for at, (distance, spec, reference) in enumerate(zip(distances, outputs, references, strict=True)):
        reached = len(distance)
        scaled = spec.scale if spec.scale and reference.dtype.kind in "iu" else 1.0
        one = Disagreement(
            np.square(distance * scaled).mean(axis=0), float(distance.max(initial=0.0) * scaled)
        )
        found.append(one)
        if classes.are(reference, spec, np.zeros(())):
            unstable = np.zeros(reference.shape, bool)
            unstable[:reached] = (distance > 0) & counts[at][:reached]
            counts[at] &= ~unstable
            if unstable.any():
                notes.append(
                    f"output {spec.name}: kernels of its own runtime disagree about {unstable.mean():.2%}, which does not count"
                )
        elif np.any(one.noise) and (apart_db := _decibel(reference * scaled, one.noise)) < _NOTED_DB:
            notes.append(f"output {spec.name}: kernels of its own runtime differ by {apart_db:.1f} dB")
    goldens.save(file, given, references, [count.astype(np.uint8) for count in counts])
    arrays = {f"noise_{at}": one.noise for at, one in enumerate(found)}
    np.savez(scratch / FILE, **arrays, error=np.array([one.error for one in found]))  # type: ignore[arg-type]
    reached, count = len(distances[0]), len(references[0])
    if reached == count:  # even so, another run may reach another set of kernels
        return notes, ["time limit"] if late else []
    return [*notes, f"kernels of the source's runtime were compared on {reached} of {count} goldens"], [
        "time limit"
    ]


def _decibel(reference: Array, noise: Array | float) -> float:
    import numpy as np

    power = float(np.sum(np.square(np.asarray(reference, np.float64)))) / len(reference)
    return decibel(power, float(np.sum(noise)))


def load(folder: Path, outputs: int) -> list[Disagreement]:
    """What `let_in` wrote to the folder; no disagreement if it wrote nothing."""
    import numpy as np

    if not (folder / FILE).is_file():
        return [NONE] * outputs
    with np.load(folder / FILE, allow_pickle=False) as archive:
        return [Disagreement(archive[f"noise_{at}"], float(archive["error"][at])) for at in range(outputs)]


def _measured(
    workers: Workers, source: SourceRef, file: Path, counts: tuple[int, int], scratch: Path
) -> tuple[list[Array], bool]:
    """(greatest |other - ref| of each output, (goldens, *shape), in the source's own numbers; whether the time ran out).

    Runs the goldens on every kernel of the source's runtime on this machine, for `SECONDS` at most. A kernel that crashes is
    skipped: LiteRT's reference kernels abort for some shapes.
    """
    framework, until = FORMATS[source.format].worker, time.monotonic() + SECONDS
    found = []
    for name in workers.call(framework, __name__, "names", source=source):
        place = scratch / f"kernels-{name}.npz"
        try:
            workers.call(
                framework, __name__, "distances", source=source, name=name, file=file, counts=counts,
                seconds=until - time.monotonic(), place=place,
            )  # fmt: skip
        except ConversionError:
            continue
        found += [place] if place.is_file() else []
    return _pooled(found, counts[1]), time.monotonic() > until


def names(source: SourceRef) -> tuple[str, ...]:
    """The kernels other than the one that the source runs on. Runs in the source's worker."""
    found: tuple[str, ...] = getattr(opened(source), "kernels", ())
    return found


def distances(
    source: SourceRef, name: str, file: Path, counts: tuple[int, int], seconds: float, place: Path
) -> None:
    """Writes |other - ref| of each output, (goldens, *shape). Runs in the source's worker.

    Covers the goldens that are reached in time; writes nothing if there are none.
    """
    import numpy as np

    inputs, outputs = goldens.load(file, *counts)
    model, until = opened(source).on(name), time.monotonic() + seconds
    found: list[list[Array]] = []
    for sample in zip(*inputs, strict=True):
        if time.monotonic() > until:
            break
        answers = model.run(sample)
        found.append(
            [_distance(answer, ref[len(found)]) for answer, ref in zip(answers, outputs, strict=True)]
        )
    np.savez(place, *(np.stack(column) for column in zip(*found, strict=True)))


def _pooled(places: Sequence[Path], outputs: int) -> list[Array]:
    """The maximum over all kernels that finished every golden; if none did, the distances of the one that got farthest."""
    import numpy as np

    found: list[list[Array]] = []
    for place in places:
        with np.load(place, allow_pickle=False) as archive:
            arrays = [archive[name] for name in archive.files]
        if len(arrays) == outputs:
            found.append(arrays)
    most = max((len(arrays[0]) for arrays in found), default=0)
    longest = [arrays for arrays in found if len(arrays[0]) == most]
    return [np.maximum.reduce(column) for column in zip(*longest, strict=True)]


def _distance(answer: Array, reference: Array) -> Array:
    """|answer - reference|; 0 where one of them is not finite."""
    import numpy as np

    wide = np.asarray(answer, np.float64) - np.asarray(reference, np.float64)
    found: Array = np.abs(np.where(np.isfinite(wide), wide, 0.0))
    return found
