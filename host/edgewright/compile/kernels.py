"""What a runtime's own kernels disagree about, for a source that is quantised already.

Reference, optimised and delegated kernels of one runtime round differently, and each is right. What lies between them is let into
the verdict: a file that goes through as it is must not be refused for its own runtime's rounding.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edgewright.compile import goldens
from edgewright.compile.jobs import SOURCES, SourceRef, opened
from edgewright.compile.workers import Workers
from edgewright.errors import ConversionError

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SECONDS = 10.0  # for all kernels together


class Disagreement(NamedTuple):
    """Of one output, in the source's own numbers.

    Attributes:
        noise: of the output's shape: sum over the goldens of the greatest (other - ref)^2.
        error: greatest |other - ref|.
        unstable: of shape (goldens, *output): where another kernel gives another value.
    """

    noise: Array
    error: float
    unstable: Array


def disagreement(
    workers: Workers, source: SourceRef, file: Path, counts: tuple[int, int], scratch: Path
) -> list[Disagreement]:
    """Runs the goldens on every kernel that the source's runtime has here, for `SECONDS` at most.

    A kernel that crashes is left out: LiteRT's reference kernels abort where they do not know a shape.

    Args:
        file: the goldens. counts: of inputs and outputs.
        scratch: an empty folder.

    Returns:
        one an output; none where the runtime has no other kernels.
    """
    framework, until = SOURCES[source.format], time.monotonic() + SECONDS
    found = []
    for name in workers.call(framework, __name__, "names", source=source):
        place = scratch / f"{name}.npz"
        try:
            workers.call(
                framework, __name__, "distances", source=source, name=name, file=file, counts=counts,
                seconds=until - time.monotonic(), place=place,
            )  # fmt: skip
        except ConversionError:
            continue
        found.append(place)
    return _pooled(found, counts[1])


def names(source: SourceRef) -> tuple[str, ...]:
    """Kernels beside those that the source runs on. Runs in the source's worker."""
    found: tuple[str, ...] = getattr(opened(source), "kernels", ())
    return found


def distances(
    source: SourceRef, name: str, file: Path, counts: tuple[int, int], seconds: float, place: Path
) -> None:
    """Writes |other - ref| of each output, (goldens, *shape). Runs in the source's worker.

    Goldens that are not reached in time are as far as those that are, on average; nothing is written if none is.
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
    columns = [np.stack(column) for column in zip(*found, strict=True)]
    missing = len(inputs[0]) - len(found)
    whole = [np.concatenate([one, np.repeat(one.mean(axis=0)[None], missing, axis=0)]) for one in columns]
    np.savez(place, *whole)


def _pooled(places: Sequence[Path], outputs: int) -> list[Disagreement]:
    import numpy as np

    worst: list[Array] = []
    for place in places:
        with np.load(place, allow_pickle=False) as archive:
            arrays = [archive[name] for name in archive.files]
        if len(arrays) == outputs:
            worst = [np.maximum(*pair) for pair in zip(worst, arrays, strict=True)] if worst else arrays
    return [Disagreement(np.square(one).sum(axis=0), float(one.max(initial=0.0)), one > 0) for one in worst]


def _distance(answer: Array, reference: Array) -> Array:
    """|answer - reference|; 0 where one of them is not finite."""
    import numpy as np

    wide = np.asarray(answer, np.float64) - np.asarray(reference, np.float64)
    found: Array = np.abs(np.where(np.isfinite(wide), wide, 0.0))
    return found
