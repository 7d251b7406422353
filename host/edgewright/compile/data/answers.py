"""Answers: a model's outputs for every sample of an evaluation set, as much of them as a metric needs."""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

from edgewright.compile.data import samples
from edgewright.compile.data.goldens import write_npz
from edgewright.errors import Code, DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.metric import RANKS, TOP

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MAX_BYTES = 256 * 1024**2  # of one model's answers, as the board's agent has it


class Answers:
    """A model's answers, one row a sample.

    Attributes:
        keep: as in `nouns.metric.Metric`.
        arrays: for `top5` one int32 array of shape (n, 5), see `ranks`; else one array an output, shape
            (n, *output.shape), real values.
    """

    def __init__(self, keep: str, arrays: Sequence[Array]) -> None:
        self.keep = keep
        self.arrays = list(arrays)

    def __len__(self) -> int:
        return len(self.arrays[0])

    def taken(self, chosen: Array) -> Self:
        """The answers to some samples, by index."""
        return type(self)(self.keep, [array[chosen] for array in self.arrays])

    def refuse_infinite(self, first: int = 0) -> None:
        """Raises DataError when an answer is NaN or infinite. Ranks have -1 for one: a wrong answer.

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
        """What `keep` keeps of one output, out of all of them.

        Raises:
            DataError: there is no such output.
        """
        import numpy as np

        if index >= len(self.arrays):
            raise DataError(f"there is no output {index}, the model has {len(self.arrays)}")
        array = self.arrays[index]
        return type(self)(keep, [np.stack([ranks(row) for row in array]) if keep == TOP else array])

    def packed(self) -> bytes:
        """As an uncompressed `.npz`; the same answers give the same bytes."""
        buffer = io.BytesIO()
        write_npz(buffer, ((f"{self.keep}_{index}", array) for index, array in enumerate(self.arrays)))
        return buffer.getvalue()

    @classmethod
    def unpacked(cls, packed: bytes) -> Self:
        """What `packed` gave."""
        import numpy as np

        with np.load(io.BytesIO(packed), allow_pickle=False) as archive:
            names = archive.files
            return cls(names[0].partition("_")[0], [archive[name] for name in names])


def ranks(output: Array) -> Array:
    """Indexes of the five greatest values of one output, best first, int32 of shape (5,).

    Of equal values the first comes first. -1 where there are fewer, and everywhere when one is not finite.
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
        output: index of the one that `top5` and `first` are of.

    Raises:
        DataError: they outgrow `MAX_BYTES`.
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
    """What is kept of the answer to each sample."""
    for sample in samples:
        outputs = run(sample)
        if keep == TOP:
            yield [ranks(outputs[output])]
        else:
            yield [array.copy() for array in (outputs if keep == "all" else [outputs[output]])]


def too_large(count: int) -> DataError:
    """The error of answers that nobody wants to keep."""
    return DataError(
        f"answers to {count} samples are more than {MAX_BYTES >> 20} MiB",
        hint="evaluate on fewer samples, or by a metric that needs less: top1 or top5",
    )


def check_size(count: int, keep: str, outputs: Sequence[TensorSpec], output: int = 0) -> None:
    """Raises DataError when the answers to so many samples would be too large."""
    import numpy as np

    specs = outputs if keep == "all" else outputs[output : output + 1]
    each = sum(math.prod(spec.shape) * np.dtype(spec.dtype).itemsize for spec in specs)
    if keep != TOP and count * each > MAX_BYTES:
        raise too_large(count)


class Spec(Protocol):
    """What must be known of an output to read it: a manifest's `TensorSpec`, or a `Tensor` that a board named."""

    @property
    def dtype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def scale(self) -> float | None: ...
    @property
    def zero_point(self) -> int | None: ...


def from_board(keep: str, given: bytes, specs: Sequence[Spec]) -> Answers:
    """The answers that a board's agent wrote.

    Args:
        given: `top5`: int32 little-endian, five a sample; else an `.npz` with `output_<i>`.
        specs: the outputs of the release's manifest, as the agent reported them.

    Raises:
        ValueError, ArithmeticError: they are not what they must be.
    """
    import numpy as np

    if keep == TOP:
        return Answers(keep, [np.frombuffer(given, "<i4").reshape(-1, RANKS)])
    chosen = specs if keep == "all" else specs[:1]
    if not chosen:
        raise ValueError("a model without outputs")
    arrays = stored(given, chosen)
    return Answers(keep, [real_of(array, spec) for array, spec in zip(arrays, chosen, strict=True)])


def stored(given: bytes, specs: Sequence[Spec] | None) -> list[Array]:
    """The arrays `output_<i>` of an `.npz` from a board: no more than its bytes, and nothing else in it.

    Args:
        specs: dtype and shape of each; None where they are not known.

    Raises:
        ValueError: it is not what it must be.
    """
    import numpy as np

    try:
        with zipfile.ZipFile(io.BytesIO(given)) as archive:
            members = archive.infolist()
            if any(info.compress_type != zipfile.ZIP_STORED for info in members):
                raise ValueError("an archive that is packed")  # a few bytes may become any number
            names = [f"output_{index}" for index in range(len(members) if specs is None else len(specs))]
            if not names or sorted(info.filename for info in members) != sorted(
                f"{name}.npy" for name in names
            ):
                raise ValueError(f"members other than the {len(names)} outputs")
            for index, name in enumerate(names):
                _check_header(archive, name, None if specs is None else specs[index])
        with np.load(io.BytesIO(given), allow_pickle=False) as archive:
            return [archive[name] for name in names]
    except (zipfile.BadZipFile, EOFError, OSError, KeyError, RuntimeError, struct.error, zlib.error) as error:
        raise ValueError(f"no archive that can be read: {error}") from error


def _check_header(archive: zipfile.ZipFile, name: str, spec: Spec | None) -> None:
    """Raises ValueError when a member is not of the output's dtype and shape, or promises more than it has."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        shape, _, dtype = samples.header(file)
        left = info.file_size - file.tell()
    known = spec is None or (dtype.name == spec.dtype and tuple(shape[1:]) == spec.shape)
    if not known or dtype.kind not in "biuf" or min(shape, default=0) < 1:
        raise ValueError(f"{name} is {dtype} of shape {shape}")
    if info.file_size != info.compress_size or math.prod(shape) * dtype.itemsize != left:
        raise ValueError(f"{name} of shape {shape} in {left} bytes")


def real_of(values: Array, spec: Spec) -> Array:
    """As `real`, by a record."""
    return real(values, {"dtype": spec.dtype, "scale": spec.scale, "zero_point": spec.zero_point})


def real(values: Array, spec: dict[str, Any]) -> Array:
    """Real values of integers that have a scale; other values as they are."""
    import numpy as np

    scale = spec.get("scale")
    if scale is None or values.dtype.kind not in "iu" or values.dtype.name != spec["dtype"]:
        return values
    zero = spec.get("zero_point") or 0
    found: Array = ((values.astype(np.float64) - zero) * scale).astype(np.float32)
    return found
