"""Evaluation sets: from `.npz`, folders of labelled images, or a user function."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgewright.compile.data import function_samples, labels, samples
from edgewright.compile.data.answers import real
from edgewright.compile.data.data_hash import data_sha256
from edgewright.compile.data.input_ranges import Range, Ranges
from edgewright.compile.inspection.code_fingerprint import fingerprint
from edgewright.compile.workers import user_function
from edgewright.compile.workers.framework_errors import LOG
from edgewright.compile.workers.pool import Workers, as_user
from edgewright.config import home, usage_marks
from edgewright.errors import Code, ConversionError, DataError
from edgewright.files import sha256_file
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.base import Noun
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

WORKER = as_user("evaluation")  # the worker that runs user functions
_INPUTS, _LABELS, _RANGES = "inputs.npz", "labels.npy", "ranges.npy"
_RUN_SUFFIX = ".run"  # suffix of the file that records what a function yielded last time
_EPOCH = (1980, 1, 1, 0, 0, 0)
_ZIP64 = 1 << 31


class EvaluationSet(Noun, frozen=True, kw_only=True):
    """A labelled set in the form that models run on, both here and on boards.

    Attributes:
        inputs: deterministic, uncompressed `.npz`: `input_<i>` of shape (n, *spec.shape). It is sent to boards.
        labels: `.npy` of shape (n, ...): int32, int64, float32 or float64; (n, 0) without labels. It stays on this machine.
        count: n.
        sha256: hash of the set's sources, including the preprocessing of images and everything that a function yielded.
        names: how many class names were numbered in sorted order; 0 if the class numbers were given.
        ranges: (least, greatest real value) of each input; empty if unknown.
    """

    inputs: Path
    labels: Path
    count: int
    sha256: str
    names: int = 0
    ranges: tuple[Range, ...] = ()

    @property
    def labelled(self) -> bool:
        """Whether it has labels."""
        return bool(self.load_labels().shape[1:] != (0,))

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
    unlabelled: bool = False,
) -> EvaluationSet:
    """The set for a model, from the cache if nothing changed.

    Args:
        path: `.npz` with a member per input and `labels`; a folder of labelled images; or `module.py:function`.
        specs: the model's inputs: a manifest's, or the source's.
        workers: the command's workers; without them, a function runs in a new worker.
        fresh: run a function again even if its file did not change, once per `workers`.
        unlabelled: the data may be without labels.

    Raises:
        DataError: the set does not fit the model, or has no labels.
        UsageError: no such function.
    """
    described = repr(list(specs)) + repr(preprocessing) + fingerprint()
    digest = data_sha256(path)
    key = hashlib.sha256((digest + described).encode()).hexdigest()
    folder = home.folder("evaluations")
    arguments: dict[str, Any] = {
        "path": path.absolute(), "specs": tuple(specs), "folder": folder, "key": key, "unlabelled": unlabelled,
    }  # fmt: skip
    yielded = ""
    if user_function.named(path) is None:
        if not _whole(_place(folder, key)):
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                write(preprocessing=preprocessing, scratch=Path(scratch), **arguments)
    else:
        made = {} if workers is None else workers.made
        yielded = made.get(key) or ("" if fresh else _last_yielded(folder, key))
        if not yielded or not _whole(_place(folder, key, yielded)):
            with ExitStack() as stack:
                used = workers or stack.enter_context(Workers(home.folder("logs") / "convert.log"))
                yielded = made[key] = _run(used, path, {"preprocessing": preprocessing, **arguments})
        usage_marks.hold(folder / f"{key}{_RUN_SUFFIX}")
        digest = hashlib.sha256((digest + yielded).encode()).hexdigest()
    if (
        path.is_dir() and preprocessing is not None
    ):  # only for images: preprocessing makes different inputs from the same files
        digest = hashlib.sha256(digest.encode() + msgspec.json.encode(preprocessing)).hexdigest()
    place = _place(folder, key, yielded)
    usage_marks.hold(place)
    found = EvaluationSet(
        inputs=place / _INPUTS, labels=place / _LABELS, count=_rows(place / _LABELS), sha256=digest,
        names=labels.names(path) if path.is_dir() and labels.there(path) else 0,
        ranges=_load_ranges(place / _RANGES),
    )  # fmt: skip
    if not (unlabelled or found.labelled):  # stored when labels were not needed
        raise DataError(
            f"evaluation set has no labels: {path}",
            hint="give each sample a label: a member named labels, or (inputs, label) from a function",
        )
    return found


@contextmanager
def drawn(
    path: Path,
    specs: Sequence[TensorSpec],
    preprocessing: Preprocessing | None,
    *,
    workers: Workers,
    epoch: int,
) -> Iterator[EvaluationSet]:
    """What a function yields when it is called again, for a `with` block: nothing is kept. Labels may be missing.

    Args:
        epoch: that a function with a parameter `epoch` is called with.

    Raises:
        DataError, UsageError: as `prepare`.
    """
    with tempfile.TemporaryDirectory(dir=home.folder("evaluations")) as folder:
        arguments = {
            "path": path.absolute(), "specs": tuple(specs), "preprocessing": preprocessing, "folder": Path(folder), "key": "",
            "unlabelled": True, "epoch": epoch,
        }  # fmt: skip
        yielded = _run(workers, path, arguments)
        place = _place(Path(folder), "", yielded)
        yield EvaluationSet(
            inputs=place / _INPUTS, labels=place / _LABELS, count=_rows(place / _LABELS), sha256=yielded
        )


def _run(workers: Workers, path: Path, arguments: dict[str, Any]) -> str:
    """Runs `write` in the worker for user functions. Raises DataError if that worker dies."""
    try:
        # created here, so that partial output is removed even if the worker is killed
        with tempfile.TemporaryDirectory(dir=arguments["folder"]) as scratch:
            found: str = workers.call(WORKER, __name__, "write", scratch=Path(scratch), **arguments)
    except ConversionError as error:
        if error.code not in (Code.WORKER_CRASHED, Code.WORKER_MEMORY):
            raise
        how = error.message.rpartition(": ")[2]
        what = "ended its process" if error.code == Code.WORKER_CRASHED else "outgrew the memory"
        raise DataError(
            f"{path} {what}: {how}", hint=f"yield one sample at a time, and do not exit; {LOG}{workers.log}"
        ) from error
    return found


def quantised(given: EvaluationSet, specs: Sequence[TensorSpec]) -> Path:
    """A set of real values converted for a model with integer inputs; cached."""
    return _rewritten(given, specs, specs)


def dequantised(given: EvaluationSet, specs: Sequence[TensorSpec]) -> Path:
    """A set for a model with integer inputs, converted to the real values; cached."""
    return _rewritten(given, specs, real_valued(specs))


def real_valued(specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """The input specs with float dtypes in place of quantised integers."""
    return tuple(
        spec if spec.scale is None else TensorSpec(name=spec.name, shape=spec.shape, dtype="float32")
        for spec in specs
    )


def _rewritten(given: EvaluationSet, read: Sequence[TensorSpec], wanted: Sequence[TensorSpec]) -> Path:
    """The set's inputs, read by one model's specs and rewritten for another's."""
    described = sha256_file(given.inputs) + repr(list(read)) + repr(list(wanted)) + fingerprint()
    place = home.folder("evaluations") / f"{hashlib.sha256(described.encode()).hexdigest()}.npz"
    if not usage_marks.hold(place):
        rows = samples.samples(given.inputs, samples.placed(read), None)
        if list(read) != list(wanted):
            scales = [msgspec.to_builtins(spec) for spec in read]
            rows = ([real(array, spec) for array, spec in zip(row, scales, strict=True)] for row in rows)
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            raws = [Path(folder) / str(index) for index in range(len(wanted))]
            _pack(Path(folder) / "inputs", wanted, raws, _spill(rows, raws))
            usage_marks.hold(Path(folder) / "inputs")
            (Path(folder) / "inputs").replace(place)
    return place


def write(
    path: Path,
    specs: Sequence[TensorSpec],
    preprocessing: Preprocessing | None,
    folder: Path,
    key: str,
    scratch: Path,
    *,
    unlabelled: bool = False,
    epoch: int = 0,
) -> str:
    """Writes the set, completely or not at all. Memory stays bounded: one pass, one sample at a time.

    Args:
        folder: the folder of all sets.
        key: identifies the set's sources.
        scratch: an empty folder on the same file system as the sets.
        unlabelled: the data may be without labels.
        epoch: that a function with a parameter `epoch` is called with.

    Returns:
        Hex sha256 of the inputs and labels that the function yielded; empty for data files.

    Raises:
        DataError, UsageError: as `prepare`.
    """
    import numpy as np

    made = scratch / "set"
    made.mkdir()
    raws = [scratch / str(index) for index in range(len(specs))]
    found: list[Any] = []
    yielded, seen_ranges = "", Ranges(specs)
    if user_function.named(path) is None:
        given = labels.read(path) if labels.there(path) or not unlabelled else None
        count = _spill(seen_ranges.watched(samples.samples(path, specs, preprocessing)), raws)
    else:
        seen = hashlib.sha256()
        rows = function_samples.generated(path, specs, found, seen, unlabelled=unlabelled, epoch=epoch)
        count = _spill(seen_ranges.watched(rows), raws)
        given = labels.numeric(found, path) if found else None
        if given is not None:
            function_samples.hash_array(seen, given)
        yielded = seen.hexdigest()
    if not count:
        raise DataError(f"evaluation set is empty: {path}", hint=function_samples.FORM)
    if given is None:
        given = np.zeros((count, 0), np.float32)
    if count != len(given):
        raise DataError(
            f"{path} has {count} samples and {len(given)} labels", hint="give one label per sample"
        )
    _pack(made / _INPUTS, specs, raws, count)
    np.save(made / _LABELS, given)
    np.save(made / _RANGES, np.array(seen_ranges.found, np.float64))
    _move_into_place(made, _place(folder, key, yielded), scratch / "damaged")
    if yielded:
        (scratch / "note").write_text(yielded, "ascii")
        (scratch / "note").replace(folder / f"{key}{_RUN_SUFFIX}")
    return yielded


def _place(folder: Path, key: str, yielded: str = "") -> Path:
    """The folder of a set; each distinct output of a function gets its own folder."""
    return folder / hashlib.sha256(f"{key} {yielded}".encode()).hexdigest()


def _whole(place: Path) -> bool:
    """Whether the set is complete; if so, marks it as in use."""
    return usage_marks.hold(place) and all((place / name).is_file() for name in (_INPUTS, _LABELS, _RANGES))


def _move_into_place(made: Path, place: Path, aside: Path) -> None:
    """Renames a set into place, all files at once, unless a complete set is already there: that one is identical."""
    usage_marks.hold(made)  # before a prune can see it: the mark moves with the folder
    if _whole(place):
        return
    if place.exists():
        place.rename(aside)
    try:
        made.rename(place)
    except OSError:
        if not _whole(place):
            raise


def _last_yielded(folder: Path, key: str) -> str:
    """What the function yielded last time; empty if unknown."""
    try:
        return (folder / f"{key}{_RUN_SUFFIX}").read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""


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


def _load_ranges(path: Path) -> tuple[Range, ...]:
    import numpy as np

    return tuple((float(low), float(high)) for low, high in np.load(path, allow_pickle=False))


def _rows(labelled: Path) -> int:
    import numpy as np

    return len(np.load(labelled, mmap_mode="r", allow_pickle=False))
