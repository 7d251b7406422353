"""Answers: a model's outputs for every sample of an evaluation set, reduced to what a metric needs."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from edgewright.compile.data import board_archive
from edgewright.compile.data.board_archive import Spec
from edgewright.compile.data.goldens import write_npz
from edgewright.errors import Code, DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.metric import RANKS, TOP

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MAX_BYTES = 256 * 1024**2  # for one model; the agent has the same limit
_AT_ONCE = 1 << 20  # values that are dequantised at once


class Answers:
    """A model's answers, one row per sample.

    Attributes:
        keep: which part of the outputs is kept, as in `nouns.metric.Metric`.
        arrays: for `top5` one int32 array of shape (n, 5), see `ranks`; otherwise one array per output, of shape
            (n, *output.shape), real values.
    """

    def __init__(self, keep: str, arrays: Sequence[Array]) -> None:
        self.keep = keep
        self.arrays = list(arrays)

    def __len__(self) -> int:
        return len(self.arrays[0])

    def taken(self, chosen: Array) -> Self:
        """The answers to the samples with the given indexes."""
        return type(self)(self.keep, [array[chosen] for array in self.arrays])

    def refuse_infinite(self, first: int = 0) -> None:
        """Raises DataError if an answer is NaN or infinite. Ranks use -1 for such a value, which counts as a wrong answer.

        Args:
            first: index of the output that `arrays` begins with.
        """
        import numpy as np

        for index, array in enumerate(self.arrays if self.keep != TOP else ()):
            bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
            if len(bad):
                raise DataError(
                    f"output {first + index} for sample {bad[0]} is not finite, one of {len(bad)}",
                    hint="the model overflows on it: try fp32, or look at that input",
                    code=Code.NOT_FINITE,
                )

    def of_output(self, index: int, keep: str) -> Self:
        """Extracts what `keep` keeps of one output; these answers must hold all outputs.

        Raises:
            DataError: there is no such output.
        """
        import numpy as np

        if index >= len(self.arrays):
            raise DataError(f"there is no output {index}, the model has {len(self.arrays)}")
        array = self.arrays[index]
        return type(self)(keep, [np.stack([ranks(row) for row in array]) if keep == TOP else array])

    def packed(self) -> bytes:
        """The answers as an uncompressed `.npz`; equal answers give equal bytes."""
        buffer = io.BytesIO()
        write_npz(buffer, ((f"{self.keep}_{index}", array) for index, array in enumerate(self.arrays)))
        return buffer.getvalue()

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """The answers from the bytes that `packed` returned."""
        import numpy as np

        with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
            names = archive.files
            return cls(names[0].partition("_")[0], [archive[name] for name in names])


def ranks(output: Array) -> Array:
    """Indexes of the five greatest values of one output, best first, int32 of shape (5,).

    Among equal values the lowest index comes first. Filled with -1 if there are fewer than five values; all -1 if any value is not finite.
    """
    import numpy as np

    flat = np.asarray(output, np.float64).reshape(-1)
    found = np.full(RANKS, -1, np.int32)
    if np.isfinite(flat).all():
        best = np.argsort(-flat, kind="stable")[:RANKS]
        found[: len(best)] = best
    return found


def collected(
    run: Callable[[list[Array]], list[Array]], samples: Iterable[list[Array]], keep: str, output: int = 0
) -> Answers:
    """The answers of a model on this machine.

    Args:
        output: index of the output that `top5` and `first` apply to.

    Raises:
        DataError: the answers are larger than `MAX_BYTES`.
    """
    import numpy as np

    rows, size = [], 0
    for row in kept(run, samples, keep, output):
        rows.append(row)
        size += sum(array.nbytes for array in row)
        if size > MAX_BYTES:
            raise too_large(len(rows))
    return Answers(keep, [np.stack(column) for column in zip(*rows, strict=True)])


def kept(
    run: Callable[[list[Array]], list[Array]], samples: Iterable[list[Array]], keep: str, output: int = 0
) -> Iterator[list[Array]]:
    """The part of each sample's answer that is kept."""
    for sample in samples:
        outputs = run(sample)
        if keep == TOP:
            yield [ranks(outputs[output])]
        else:
            yield [array.copy() for array in (outputs if keep == "all" else [outputs[output]])]


def too_large(count: int) -> DataError:
    """The error for answers that exceed the size limit."""
    return DataError(
        f"answers to {count} samples are more than {MAX_BYTES >> 20} MiB",
        hint="evaluate on fewer samples, or by a metric that needs less: top1 or top5",
    )


def check_size(count: int, keep: str, outputs: Sequence[TensorSpec], output: int = 0) -> None:
    """Raises DataError if the answers to `count` samples would be too large."""
    import numpy as np

    specs = outputs if keep == "all" else outputs[output : output + 1]
    each = sum(math.prod(spec.shape) * np.dtype(spec.dtype).itemsize for spec in specs)
    if keep != TOP and count * each > MAX_BYTES:
        raise too_large(count)


def from_board(keep: str, file: BinaryIO, specs: Sequence[Spec], count: int) -> Answers:
    """The answers that a board's agent wrote.

    Args:
        file: for `top5`, little-endian int32 values, five per sample; otherwise an `.npz` with `output_<i>`.
        specs: the outputs of the release's manifest, as the agent reported them.
        count: how many samples there are.

    Raises:
        ValueError, ArithmeticError: the bytes are malformed or do not match the specs.
    """
    import numpy as np

    if keep == TOP:
        return Answers(keep, [np.frombuffer(file.read(4 * RANKS * count), "<i4").reshape(count, RANKS)])
    chosen = specs if keep == "all" else specs[:1]
    if not chosen:
        raise ValueError("a model without outputs")
    arrays = board_archive.stored(file, chosen, count)
    return Answers(keep, [real_of(array, spec) for array, spec in zip(arrays, chosen, strict=True)])


def real_of(values: Array, spec: Spec) -> Array:
    """As `real`, with the spec as a record."""
    return real(values, {"dtype": spec.dtype, "scale": spec.scale, "zero_point": spec.zero_point})


def real(values: Array, spec: dict[str, Any]) -> Array:
    """Converts quantised integers to real values, which take up to four times their room; returns other values unchanged."""
    import numpy as np

    scale = spec.get("scale")
    if scale is None or values.dtype.kind not in "iu" or values.dtype.name != spec["dtype"]:
        return values
    zero, flat = spec.get("zero_point") or 0, values.reshape(-1)
    pieces = (
        ((flat[at : at + _AT_ONCE].astype(np.float64) - zero) * scale).astype(np.float32)
        for at in range(0, flat.size, _AT_ONCE)
    )
    if flat.size > _AT_ONCE:
        return _mapped(pieces, values.shape)
    return next(pieces, np.empty(0, np.float32)).reshape(values.shape)


def _mapped(pieces: Iterable[Array], shape: Sequence[int]) -> Array:
    """Real values in a file, for answers that are large."""
    try:
        return board_archive.mapped((piece.tobytes() for piece in pieces), "<f4", shape)
    except OSError as error:
        raise DataError(
            f"no room for the answers' real values: {error.strerror}",
            hint="make room in the folder for temporary files, or name another one in TMPDIR",
            code=Code.IO,
        ) from error
