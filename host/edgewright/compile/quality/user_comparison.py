"""A user function that compares two lists of outputs: `[compare] function` in the project file.

Its signature is `(references, answers) -> float` or `-> array of shape (goldens,)`; the latter holds a share per golden, and their
mean is the value. 1 means equal, 0 means nothing in common. Both arguments are lists with one float64 array of shape
(goldens, *output.shape) per output, in real values; a value that does not count is NaN in both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from edgewright.compile.data import goldens
from edgewright.compile.data.answers import MAX_BYTES
from edgewright.compile.quality.verdict.decibels import LARGEST, plain
from edgewright.compile.workers import user_function
from edgewright.errors import DataError, UsageError
from edgewright.files import sha256_file
from edgewright.nouns.artifact import Manifest, TensorSpec
from edgewright.nouns.project import Compare
from edgewright.nouns.verdict import Compared, Limits

if TYPE_CHECKING:
    import numpy as np

    from edgewright.compile.quality.verdict.judge import Judged

    Array = np.ndarray[Any, Any]

FILE = "answers.npz"  # an artifact's outputs for the goldens, stored next to them during conversion
_ROUNDING = 1e-9  # rounding error of sums of shares


class Similarity(NamedTuple):
    """A function that compares outputs. Made by `load`.

    Attributes:
        name: `file.py:function`, without the file's folder.
        sha256: of the file.
        least: the share that is required.
    """

    name: str
    sha256: str
    least: float
    function: Callable[[Any, Any], Any]

    def share(self, references: Sequence[Array], answers: Sequence[Array]) -> float:
        """How similar the outputs are, 0 to 1.

        Args:
            references, answers: as `values` returns them.

        Raises:
            DataError: the function fails, or does not return a share.
        """
        with user_function.TURN:
            found = user_function.call(
                f"[compare] {self.name}", self.function, list(references), list(answers),
                hint="it gets two lists of arrays of shape (goldens, *output shape)",
            )  # fmt: skip
            return plain(_checked(found, len(references[0]), self.name))

    def enough(self, share: float) -> bool:
        """Whether a share is at least `least`."""
        return share >= self.least - _ROUNDING

    def compared(self, share: float) -> Compared:
        """The result in the form of the manifest."""
        return Compared(function=self.name, sha256=self.sha256, least=self.least, share=share)


def load(compare: Compare) -> Similarity | None:
    """The function that `[compare]` names, with its module imported; None if it names none.

    Raises:
        UsageError: no such file or function, or the module fails to import.
    """
    if compare.function is None:
        return None
    file = check_name(compare)
    assert file is not None  # noqa: S101 - a function is named
    function = user_function.load(compare.function)
    return Similarity(Path(compare.function).name, sha256_file(file), compare.least, function)


def check_name(compare: Compare) -> Path | None:
    """The file of the function that `[compare]` names. Does not run user code.

    Raises:
        UsageError: it names no function, or the file is missing.
    """
    if compare.function is None:
        return None
    found = user_function.named(compare.function)
    if found is None:
        raise UsageError(
            f"[compare] function is not module.py:function: {compare.function}", hint="such as boxes.py:same"
        )
    if not found[0].is_file():
        raise UsageError(
            f"no such file: {found[0]}", hint="check the path before the colon of [compare] function"
        )
    return found[0]


def check_size(manifest: Manifest) -> None:
    """Raises DataError if the outputs for the goldens are larger than what a board can send back."""
    if answers_bytes(manifest) > MAX_BYTES:
        raise DataError(
            f"answers to {manifest.goldens.count} goldens are more than {MAX_BYTES >> 20} MiB, which [compare] function would fetch",
            hint="compare by limits instead: leave the function out, or give the model fewer outputs",
        )


def answers_bytes(manifest: Manifest) -> int:
    """The size in bytes of the outputs for all goldens."""
    import numpy as np

    each = sum(math.prod(spec.shape) * np.dtype(spec.dtype).itemsize for spec in manifest.outputs)
    return manifest.goldens.count * each


def values(
    file: Path, answers: Sequence[Array], specs: Sequence[TensorSpec]
) -> tuple[list[Array], list[Array]]:
    """(references, answers) in the form that the function takes.

    Args:
        file: the goldens.
        answers: one array per output, either as the runtime returned them or already in real values.
        specs: the artifact's outputs.
    """
    import numpy as np

    from edgewright.compile.quality.verdict.judge import real_values

    _, references = goldens.load(file, 0, len(specs))
    counts = goldens.counted(file, references)

    def real(arrays: Sequence[Array]) -> list[Array]:
        rows = zip(arrays, specs, counts, strict=True)
        return [np.where(counted, real_values(array, spec), np.nan) for array, spec, counted in rows]

    return real(references), real(answers)


def instead_of_limits(judged: Judged, spec: TensorSpec, count: int) -> Judged:
    """One output's verdict if the function decides: figures only, with no limits except on non-finite and sentinel values.

    Args:
        count: number of goldens.
    """
    verdict = judged.verdict
    if verdict.equal is None:
        limits = Limits(noise=LARGEST, error=LARGEST, apart=verdict.limits.apart)
    else:
        limits = Limits(unequal=count * math.prod(spec.shape))
    verdict = msgspec.structs.replace(verdict, worst=None, not_covered=(), limits=limits)
    return judged._replace(verdict=verdict, low=False, still=False, suspects=(), choice=None)


def _checked(found: Any, count: int, name: str) -> float:
    """The mean of what a function returned."""
    import numpy as np

    share = "a share from 0 to 1 per golden"
    result = user_function.numbers(f"[compare] {name}", found, count, each=share)
    hint = f"return a number from 0 to 1, or an array of shape ({count},): {share}"
    if not np.isfinite(result).all():
        raise DataError(
            f"[compare] {name} returned a value that is not finite",
            hint="values that do not count are NaN: leave them out" if np.isnan(result).any() else hint,
        )
    if result.min() < -_ROUNDING or result.max() > 1 + _ROUNDING:
        worst = result.min() if result.min() < -_ROUNDING else result.max()
        raise DataError(f"[compare] {name} returned {worst:.6g}, which is not between 0 and 1", hint=hint)
    return min(1.0, max(0.0, float(result.mean())))
