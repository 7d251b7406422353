"""Evaluation sets: from `.npz`, folders of labelled images or the user's own function to what is run and compared."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile import data, labels, own_function
from edgewright.compile.key import data_sha256
from edgewright.compile.workers import Workers
from edgewright.config import home, in_use
from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.base import Noun
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

WORKER = "evaluation"  # the process that the user's own functions run in
_EPOCH = (1980, 1, 1, 0, 0, 0)
_ZIP64 = 1 << 31
_ONE = "yield (inputs, label) a sample: an array, a list of them, or a dictionary by input name"


class EvaluationSet(Noun, frozen=True, kw_only=True):
    """A labelled set in the form that models on this machine and on boards are run on.

    Attributes:
        inputs: deterministic, uncompressed `.npz`: `input_<i>` of shape (n, *spec.shape). Boards get it.
        labels: `.npy` of shape (n, ...): int32, int64, float32 or float64. It stays here.
        count: n.
        sha256: of what the set was made from; of a function's labels too.
    """

    inputs: Path
    labels: Path
    count: int
    sha256: str

    def load_labels(self) -> Array:
        """The labels."""
        import numpy as np

        found: Array = np.load(self.labels, allow_pickle=False)
        return found


def prepare(
    path: Path,
    specs: Sequence[TensorSpec],
    preprocessing: Preprocessing | None = None,
    *,
    workers: Workers | None = None,
    fresh: bool = False,
) -> EvaluationSet:
    """The set for a model, from the cache when nothing changed.

    Args:
        path: `.npz` with a member an input and `labels`; a folder of labelled images; or `module.py:function`.
        specs: the model's inputs: a manifest's, or the source's.
        workers: those of the command; a function runs in one of its own without.
        fresh: run a function again although its file did not change.

    Raises:
        DataError: the set does not fit the model, or has no labels.
        UsageError: no such function.
    """
    described = repr(list(specs)) + repr(preprocessing)
    digest = data_sha256(path)
    place = home.folder("evaluations") / hashlib.sha256((digest + described).encode()).hexdigest()
    inputs, labelled = place.with_suffix(".npz"), place.with_suffix(".labels.npy")
    own = own_function.named(path) is not None
    if not (in_use.hold(inputs) and in_use.hold(labelled)) or (own and fresh):
        arguments: dict[str, Any] = {
            "path": path.absolute(),
            "specs": tuple(specs),
            "inputs": inputs,
            "labelled": labelled,
        }
        if own:
            with ExitStack() as stack:
                used = workers or stack.enter_context(Workers(home.folder("logs") / "convert.log"))
                used.call(WORKER, __name__, "write", preprocessing=preprocessing, **arguments)
        else:
            write(preprocessing=preprocessing, **arguments)
        in_use.hold(inputs)
        in_use.hold(labelled)
    if own:  # the file does not tell what else the function reads: other labels are another set
        digest = hashlib.sha256(digest.encode() + labelled.read_bytes()).hexdigest()
    return EvaluationSet(inputs=inputs, labels=labelled, count=_rows(labelled), sha256=digest)


def quantised(given: EvaluationSet, specs: Sequence[TensorSpec]) -> Path:
    """The inputs of a set of real values as those of a model with integer inputs, in the cache."""
    described = repr(list(specs))
    place = given.inputs.with_name(
        hashlib.sha256((given.inputs.stem + described).encode()).hexdigest() + ".npz"
    )
    if not place.is_file():
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            raws = [Path(folder) / str(index) for index in range(len(specs))]
            count = _spill(data.samples(given.inputs, specs, None), raws)
            _pack(Path(folder) / "inputs", specs, raws, count)
            (Path(folder) / "inputs").replace(place)
    return place


def write(
    path: Path,
    specs: Sequence[TensorSpec],
    preprocessing: Preprocessing | None,
    inputs: Path,
    labelled: Path,
) -> None:
    """Makes the two files, each whole or not at all. Memory stays bounded: one pass, one sample at a time.

    Raises:
        DataError, UsageError: as `prepare`.
    """
    import numpy as np

    with tempfile.TemporaryDirectory(dir=inputs.parent) as folder:
        scratch = Path(folder)
        raws = [scratch / str(index) for index in range(len(specs))]
        found: list[Any] = []
        if own_function.named(path) is None:
            given = labels.read(path)
            count = _spill(data.samples(path, specs, preprocessing), raws)
        else:
            count = _spill(_generated(path, specs, found), raws)
            given = labels.numeric(found, path) if found else np.zeros(0)
        if not count:
            raise DataError(f"evaluation set is empty: {path}", hint=_ONE)
        if count != len(given):
            raise DataError(
                f"{path} has {count} samples and {len(given)} labels", hint="give one label a sample"
            )
        _pack(scratch / "inputs", specs, raws, count)
        with (scratch / "labels").open("wb") as file:
            np.save(file, given)
        (scratch / "labels").replace(labelled)
        (scratch / "inputs").replace(inputs)


def _generated(path: Path, specs: Sequence[TensorSpec], found: list[Any]) -> Iterator[list[Array]]:
    """The inputs that the user's function yields, checked; its labels are added to `found`."""
    function = own_function.load(path)
    try:
        pairs: Iterable[Any] = iter(function())
    except (Exception, SystemExit) as error:
        raise DataError(f"{path} failed: {own_function.said(error)}", hint=_ONE) from error
    while True:
        index = len(found)
        try:
            pair = next(pairs)  # type: ignore[call-overload]
        except StopIteration:
            return
        except (Exception, SystemExit) as error:
            raise DataError(
                f"{path} failed at sample {index}: {own_function.said(error)}", hint="run it by itself"
            ) from error
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise DataError(f"{path} yields no pair at sample {index}: {type(pair).__name__}", hint=_ONE)
        found.append(pair[1])
        yield [
            data.fitted(array, spec, str(path), index)
            for array, spec in zip(_arrays(pair[0], specs, path, index), specs, strict=True)
        ]


def _arrays(given: Any, specs: Sequence[TensorSpec], path: Path, index: int) -> list[Array]:
    """One sample's inputs in the order of the specs."""
    import numpy as np

    if isinstance(given, dict):
        by_name = dict(given)
        missing = [spec.name for spec in specs if spec.name not in by_name]
        if missing or len(by_name) != len(specs):
            raise DataError(
                f"{path} yields other inputs at sample {index}: {', '.join(map(str, by_name))}",
                hint=f"the model's are {', '.join(spec.name for spec in specs)}",
            )
        rows = [by_name[spec.name] for spec in specs]
    else:
        several = isinstance(given, tuple | list) and len(specs) > 1
        rows = list(given) if several else [given]
    if len(rows) != len(specs):
        raise DataError(
            f"{path} yields {len(rows)} inputs at sample {index}, the model has {len(specs)}", hint=_ONE
        )
    return [np.asarray(row) for row in rows]


def _spill(samples: Iterator[list[Array]], raws: Sequence[Path]) -> int:
    with ExitStack() as stack:
        files = [stack.enter_context(raw.open("wb")) for raw in raws]
        count = 0
        for sample in samples:
            count += 1
            for file, array in zip(files, sample, strict=True):
                file.write(array.tobytes())
    return count


def _pack(place: Path, specs: Sequence[TensorSpec], raws: Sequence[Path], count: int) -> None:
    with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
        for index, (raw, spec) in enumerate(zip(raws, specs, strict=True)):
            _add(archive, f"input_{index}", spec.dtype, (count, *spec.shape), raw)


def _add(archive: zipfile.ZipFile, name: str, dtype: str, shape: tuple[int, ...], raw: Path) -> None:
    import numpy as np

    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    large = raw.stat().st_size >= _ZIP64
    with (
        archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=large) as out,
        raw.open("rb") as file,
    ):
        np.lib.format.write_array_header_1_0(out, header)
        shutil.copyfileobj(file, out, 1 << 20)


def _rows(labelled: Path) -> int:
    import numpy as np

    return len(np.load(labelled, mmap_mode="r", allow_pickle=False))
