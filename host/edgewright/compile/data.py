"""Calibration and evaluation data as a stream of samples: `.npz`, `.npy`, or a folder of images.

A sample is one list of arrays, one an input, each of the input's static shape and dtype. Nothing is read
whole: `.npy` is mapped, members of `.npz` are read row by row, images one at a time.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from edgewright.compile import images
from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Sample = list["Array"]
LABELS = ("labels", "y")


def samples(path: Path, specs: Sequence[TensorSpec], preprocessing: Preprocessing | None) -> Iterator[Sample]:
    """Yields every sample, checked.

    Args:
        path: `.npz` with a member an input (its name, `input_<i>`, or the only member for the only input),
            `.npy` for a model with one input, or a folder of images. The leading axis is samples.

    Raises:
        DataError: missing, unreadable, empty, of the wrong shape or dtype, or not finite; names file and
            member.
    """
    if path.is_dir():
        yield from _images(path, specs, preprocessing)
        return
    rows = [array_rows(path, key) for key in _members(path, specs)]
    lengths = {key: length for key, length, _ in rows}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"members of {path} differ in length: {lengths}", hint="give one row a sample in each"
        )
    if not rows or not rows[0][1]:
        raise DataError(f"data are empty: {path}", hint="give at least one sample")
    for index in range(rows[0][1]):
        sample = []
        for (key, _, stream), spec in zip(rows, specs, strict=True):
            sample.append(_fitted(next(stream), spec, f"{path} {key}".strip(), index))
        yield sample


def length(path: Path, specs: Sequence[TensorSpec]) -> int:
    """How many samples there are. Raises DataError as `samples` does."""
    if path.is_dir():
        return len(images.found(path))
    return array_rows(path, _members(path, specs)[0])[1]


def labels(path: Path) -> Array:
    """The labels of an evaluation set, int32, shape (n,).

    Raises:
        DataError: there are none, or they are not whole numbers in one column (one-hot rows are taken too).
    """
    import numpy as np

    keys = [key for key in LABELS if key in _keys(path)]
    if not keys:
        raise DataError(
            f"evaluation set has no labels: {path}", hint="add a member named labels, one a sample"
        )
    _, count, stream = array_rows(path, keys[0])
    found = np.asarray(list(stream))
    if found.ndim == 2 and found.shape[1] > 1:
        found = found.argmax(axis=1)
    found = found.reshape(-1)
    if found.shape != (count,) or not count or not np.array_equal(found, found.astype(np.int32)):
        raise DataError(f"labels of {path} are not one whole number a sample: {found.shape}, {found.dtype}")
    return found.astype(np.int32)


def array_rows(path: Path, key: str) -> tuple[str, int, Iterator[Array]]:
    """(member, rows, stream of rows) of a `.npy` (key empty) or of one member of a `.npz`."""
    import numpy as np

    try:
        if not key:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
            return key, len(mapped) if mapped.ndim else 0, (np.array(row) for row in mapped)
        archive = zipfile.ZipFile(path)
        file = archive.open(key + ".npy")
        shape, fortran, dtype = _header(file)
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise DataError(
            f"data cannot be read: {path} {key}".rstrip(),
            hint=f"{error}; write it with numpy.savez or numpy.save",
        ) from error
    if fortran or not shape:
        raise DataError(f"{path} {key} has no leading axis in C order", hint="use numpy.ascontiguousarray")
    return key, shape[0], _rows(file, path, key, shape, dtype)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, Any]:
    from numpy.lib import format as npy

    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("holds Python objects")
    return shape, fortran, dtype


def _rows(file: IO[bytes], path: Path, key: str, shape: tuple[int, ...], dtype: Any) -> Iterator[Array]:
    import numpy as np

    size = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
    with file:
        for index in range(shape[0]):
            try:
                data = file.read(size)
            except (OSError, EOFError, zipfile.BadZipFile) as error:
                raise DataError(f"{path} {key} is damaged at sample {index}", hint=str(error)) from error
            if len(data) < size:
                raise DataError(f"{path} {key} is cut short at sample {index}", hint="write it again")
            yield np.frombuffer(data, dtype).reshape(shape[1:])


def _keys(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]
    except FileNotFoundError as error:
        raise DataError(f"no such data file: {path}", hint="check the path") from error
    except (OSError, zipfile.BadZipFile) as error:
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
    keys = [key for key in _keys(path) if key not in LABELS]
    found: list[str] = []
    for index, spec in enumerate(specs):
        names = [spec.name, f"input_{index}"] + (["x", *keys[: len(keys) == 1]] if len(specs) == 1 else [])
        chosen = next((name for name in names if name in keys), None)
        if chosen is None:
            raise DataError(
                f"{path} has no member for input {spec.name}: {', '.join(keys) or 'it is empty'}",
                hint=f"name the members {', '.join(item.name for item in specs)}, or input_0, input_1, ...",
            )
        found.append(chosen)
    return found


def _fitted(row: Array, spec: TensorSpec, where: str, index: int) -> Array:
    """One row as the input's shape and dtype: a leading 1 may be missing, floats may change width."""
    import numpy as np

    want = np.dtype(spec.dtype)
    if tuple(row.shape) == spec.shape[1:] and spec.shape[:1] == (1,):
        row = row.reshape(spec.shape)
    if tuple(row.shape) != spec.shape:
        raise DataError(
            f"sample {index} of {where} has the wrong shape: {tuple(row.shape)} instead of {spec.shape[1:]}",
            hint="the leading axis is samples, the rest one input",
        )
    if row.dtype != want and not (row.dtype.kind == want.kind == "f" or _widens(row, want)):
        raise DataError(
            f"sample {index} of {where} has the wrong dtype: {row.dtype} instead of {want}",
            hint=f"convert it with .astype('{want}') the way the model was trained on it",
        )
    if row.dtype.kind == "f" and not np.isfinite(row).all():
        raise DataError(f"sample {index} of {where} holds NaN or infinity", hint="remove or repair it")
    return np.ascontiguousarray(row, dtype=want)


def _widens(row: Array, want: Any) -> bool:
    """Whole numbers of another width, all of which the wanted dtype holds."""
    import numpy as np

    if row.dtype.kind not in "iu" or want.kind not in "iu":
        return False
    limits = np.iinfo(want)
    return not row.size or bool(row.min() >= limits.min and row.max() <= limits.max)


def _images(path: Path, specs: Sequence[TensorSpec], preprocessing: Preprocessing | None) -> Iterator[Sample]:
    if len(specs) != 1:
        raise DataError(f"a folder of images for {len(specs)} inputs: {path}", hint="give an .npz instead")
    if preprocessing is None:
        raise DataError(
            f"images need preprocessing: {path}",
            hint="write a [preprocessing] table: scale, mean, std, channels, layout as the model was trained",
        )
    for index, file in enumerate(images.found(path)):
        yield [_fitted(images.read(file, preprocessing, specs[0]), specs[0], str(file), index)]
