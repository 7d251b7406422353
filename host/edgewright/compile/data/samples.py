"""Calibration and evaluation data as a stream of samples: `.npz`, `.npy`, or a folder of images.

A sample is a list of arrays, one per input, each with the input's static shape and dtype. No file is loaded
whole: arrays are read row by row, images one at a time, and rows that are not chosen are skipped. (Files are not
memory-mapped: mapped pages count as used memory.)
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Any

import msgspec

from edgewright.compile.data import images
from edgewright.compile.data.npz_members import paired
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Sample = list["Array"]


def samples(
    path: Path,
    specs: Sequence[TensorSpec],
    preprocessing: Preprocessing | None,
    chosen: Sequence[int] | None = None,
) -> Iterator[Sample]:
    """Yields the chosen samples, checked.

    Args:
        path: `.npz` with a member per input, as `npz_members.paired` matches them,
            `.npy` for a model with one input, or a folder of images. The leading axis is samples.
        chosen: their indexes in ascending order; None for all.

    Raises:
        DataError: the data are missing, unreadable, empty, of the wrong shape or dtype, or not finite; the message names
            file and member.
    """
    if path.is_dir():
        yield from _images(path, specs, preprocessing, chosen)
        return
    rows = [array_rows(path, key, chosen) for key in _members(path, specs)]
    lengths = {key: length for key, length, _ in rows}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"members of {path} differ in length: {lengths}", hint="give one row per sample in each"
        )
    if not rows or not rows[0][1]:
        raise DataError(f"data are empty: {path}", hint="give at least one sample")
    for index in range(rows[0][1]) if chosen is None else chosen:
        sample = []
        for (key, _, stream), spec in zip(rows, specs, strict=True):
            sample.append(fitted(next(stream), spec, f"{path} {key}".strip(), index))
        yield sample


def placed(specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """The inputs under their names in edgewright's own `.npz` files, whatever the model calls them."""
    return tuple(msgspec.structs.replace(spec, name=f"input_{index}") for index, spec in enumerate(specs))


def length(path: Path, specs: Sequence[TensorSpec]) -> int:
    """The number of samples. Raises DataError as `samples` does."""
    if path.is_dir():
        return len(images.found(path))
    return array_rows(path, _members(path, specs)[0])[1]


def array_rows(path: Path, key: str, chosen: Sequence[int] | None = None) -> tuple[str, int, Iterator[Array]]:
    """(member, rows, stream of the chosen rows) of a `.npy` (key empty) or of one member of a `.npz`."""
    import numpy as np

    try:
        with _opened(path, key, chosen) as file:
            shape, fortran, _ = header(file)
        if fortran and not key and len(shape) > 1:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            indexes = range(shape[0]) if chosen is None else chosen
            return key, shape[0], (np.array(mapped[index]) for index in indexes)
    except (OSError, KeyError, *BAD_ZIP) as error:
        raise DataError(
            f"data cannot be read: {path} {key}".rstrip(),
            hint=f"{error}; write it with numpy.savez or numpy.save",
        ) from error
    if not shape:
        raise DataError(f"{f'{path} {key}'.rstrip()} is a single value", hint="give one row per sample")
    if key and fortran and len(shape) > 1:
        raise DataError(f"{path} {key} has no leading axis in C order", hint="use numpy.ascontiguousarray")
    return key, shape[0], _rows(path, key, chosen)


def _opened(path: Path, key: str, chosen: Sequence[int] | None) -> IO[bytes]:
    """The `.npy` file, or the member of a zip archive, at its beginning.

    The archive checks the CRC of a member that is read to its end. If rows are chosen, an uncompressed member is read
    directly from the file instead, so that skipping costs nothing.
    """
    if not key:
        return path.open("rb")
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(f"{key}.npy")
        if chosen is None or entry.compress_type != zipfile.ZIP_STORED:
            return archive.open(entry)  # the member keeps the file open
    file = path.open("rb")
    file.seek(entry.header_offset)
    head = file.read(30)
    file.seek(int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"), os.SEEK_CUR)
    return file


def header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, Any]:
    """Reads the header of a `.npy` up to its first value: (shape, Fortran order, dtype).

    Raises:
        ValueError: it is not a `.npy`, or holds Python objects.
    """
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, fortran, dtype = read(file)
    except (SyntaxError, TokenError, RecursionError, MemoryError) as error:  # numpy lets these through
        raise ValueError("header cannot be read") from error
    if dtype.hasobject:
        raise ValueError("holds Python objects")
    return shape, fortran, dtype


def _rows(path: Path, key: str, chosen: Sequence[int] | None) -> Iterator[Array]:
    import numpy as np

    where = f"{path} {key}".rstrip()
    with _opened(path, key, chosen) as file:
        shape, _, dtype = header(file)
        size = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
        start = file.tell()
        for index in range(shape[0]) if chosen is None else chosen:
            try:
                if chosen is not None:
                    file.seek(start + index * size)
                data = file.read(size)
            except (OSError, *BAD_ZIP) as error:
                raise DataError(f"{where} is damaged at sample {index}", hint=str(error)) from error
            if len(data) < size:
                raise DataError(f"{where} is cut short at sample {index}", hint="write it again")
            yield np.frombuffer(data, dtype).reshape(shape[1:])


def member_names(path: Path) -> list[str]:
    """Names of the members of an `.npz`. Raises DataError if it is not one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
    except FileNotFoundError as error:
        raise DataError(f"no such data file: {path}", hint="check the path") from error
    except (OSError, *BAD_ZIP) as error:
        raise DataError(f"data cannot be read: {path}", hint="write it with numpy.savez") from error


def _members(path: Path, specs: Sequence[TensorSpec]) -> list[str]:
    """The member for each input; [""] for a `.npy`."""
    if path.suffix == ".npy":
        if len(specs) > 1:
            raise DataError(
                f"one array for {len(specs)} inputs: {path}", hint="give an .npz with a member each"
            )
        if not path.is_file():
            raise DataError(f"no such data file: {path}", hint="check the path")
        return [""]
    return paired(path, specs, member_names(path))


def fitted(row: Array, spec: TensorSpec, where: str, index: int) -> Array:
    """One row with the input's shape and dtype: a leading 1 may be missing, and floats may change width."""
    import numpy as np

    want = np.dtype(spec.dtype)
    if row.dtype.kind == "f" and not np.isfinite(row).all():
        raise DataError(f"sample {index} of {where} holds NaN or infinity", hint="remove or repair it")
    row = as_input(row, spec)
    if tuple(row.shape) == spec.shape[1:] and spec.shape[:1] == (1,):
        row = row.reshape(spec.shape)
    if spec.shape and row.shape in (spec.shape[1:], (1, *spec.shape[1:])) and spec.shape[0] > 1:
        raise DataError(
            f"input {spec.name} takes {spec.shape[0]} rows at once, sample {index} of {where} is one",
            hint="export the model with an open batch or a batch of 1; or give the rows in groups: "
            f"x.reshape({', '.join(map(str, (-1, *spec.shape)))})",
        )
    if tuple(row.shape) != spec.shape:
        raise DataError(
            f"sample {index} of {where} has the wrong shape: {tuple(row.shape)} instead of {spec.shape[1:]}",
            hint="the leading axis is samples, the rest one input",
        )
    if row.dtype != want and not (row.dtype.kind == want.kind == "f" or widens(row, want)):
        raise DataError(
            f"sample {index} of {where} has the wrong dtype: {row.dtype} instead of {want}",
            hint=f"convert it with .astype('{want}') the way the model was trained on it",
        )
    return np.ascontiguousarray(row, dtype=want)


def as_input(row: Array, spec: TensorSpec) -> Array:
    """Quantises floats for an integer input with a scale, as they are real values; leaves all else unchanged."""
    import numpy as np

    want = np.dtype(spec.dtype)
    if row.dtype.kind != "f":
        return row
    if want.kind == "f":
        return row.astype(want, copy=False)
    return quantised(row, spec) if spec.scale is not None and want.kind in "iu" else row


def quantised(row: Array, spec: TensorSpec) -> Array:
    """Quantises real values for an integer input or output; values out of range are clipped."""
    import numpy as np

    limits = np.iinfo(spec.dtype)
    found = np.rint(row / (spec.scale or 1.0)) + (spec.zero_point or 0)
    result: Array = np.clip(found, limits.min, limits.max).astype(spec.dtype)
    return result


def widens(row: Array, want: Any) -> bool:
    """Whether integers of another width all fit into the wanted dtype."""
    import numpy as np

    if row.dtype.kind not in "iu" or want.kind not in "iu":
        return False
    limits = np.iinfo(want)
    return not row.size or bool(row.min() >= limits.min and row.max() <= limits.max)


def _images(
    path: Path,
    specs: Sequence[TensorSpec],
    preprocessing: Preprocessing | None,
    chosen: Sequence[int] | None,
) -> Iterator[Sample]:
    if len(specs) != 1:
        raise DataError(f"a folder of images for {len(specs)} inputs: {path}", hint="give an .npz instead")
    if preprocessing is None:
        raise DataError(
            f"images need preprocessing: {path}",
            hint="write a [preprocessing] table in edgewright.toml (`edgewright init MODEL` makes one): "
            "scale, mean, std, channels, layout as the model was trained",
        )
    files = images.found(path)
    for index in range(len(files)) if chosen is None else chosen:
        file = files[index]
        yield [fitted(images.read(file, preprocessing, specs[0]), specs[0], str(file), index)]
