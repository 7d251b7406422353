"""The evaluation set in the form that boards read."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from edgewright.compile import data
from edgewright.compile.key import data_sha256
from edgewright.config import home
from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_EPOCH = (1980, 1, 1, 0, 0, 0)


def canonical(path: Path, specs: Sequence[TensorSpec], preprocessing: Preprocessing | None = None) -> Path:
    """The set as a deterministic, uncompressed `.npz` in the cache.

    Members `input_<i>`, shape (n, *spec.shape), in the order and dtypes of `specs` (a manifest's `inputs`),
    and `labels`, int32, shape (n,).

    Raises:
        DataError: the set does not fit the model, or has no labels.
    """
    described = repr([(spec.name, spec.shape, spec.dtype) for spec in specs]) + repr(preprocessing)
    key = hashlib.sha256((data_sha256(path) + described).encode()).hexdigest()
    place = home.folder("evaluations") / f"{key}.npz"
    if not place.is_file():
        labels = data.labels(path)
        handle, name = tempfile.mkstemp(dir=place.parent, suffix=".part")
        os.close(handle)
        try:
            _write(Path(name), path, specs, preprocessing, labels)
            Path(name).replace(place)
        finally:
            Path(name).unlink(missing_ok=True)
    return place


def _write(
    place: Path,
    path: Path,
    specs: Sequence[TensorSpec],
    preprocessing: Preprocessing | None,
    labels: Array,
) -> None:
    """One pass over the samples: a raw file an input, then the members, so that memory stays bounded."""
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        raws = [Path(scratch) / str(index) for index in range(len(specs))]
        count = _spill(data.samples(path, specs, preprocessing), raws)
        if count != len(labels):
            raise DataError(
                f"{path} has {count} samples and {len(labels)} labels", hint="give one label a sample"
            )
        with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
            for index, (raw, spec) in enumerate(zip(raws, specs, strict=True)):
                with (
                    _member(archive, f"input_{index}", spec.dtype, (count, *spec.shape)) as out,
                    raw.open("rb") as file,
                ):
                    shutil.copyfileobj(file, out, 1 << 20)
            with _member(archive, "labels", "int32", (count,)) as out:
                out.write(labels.astype("<i4").tobytes())


def _spill(samples: Iterator[list[Array]], raws: Sequence[Path]) -> int:
    files = [raw.open("wb") for raw in raws]
    count = 0
    try:
        for sample in samples:
            count += 1
            for file, array in zip(files, sample, strict=True):
                file.write(array.tobytes())
    finally:
        for file in files:
            file.close()
    return count


def _member(archive: zipfile.ZipFile, name: str, dtype: str, shape: tuple[int, ...]) -> IO[bytes]:
    import numpy as np

    out = archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=False)
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
    return out
