"""Evaluation sets: from `.npz`, folders of labelled images, or the user's own function."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgewright.compile.data import labels
from edgewright.compile.data import samples as data
from edgewright.compile.data.answers import real
from edgewright.compile.data.data_hash import data_sha256
from edgewright.compile.data.input_ranges import Range, Ranges
from edgewright.compile.data.npz_members import by_name
from edgewright.compile.inspection.code_fingerprint import fingerprint
from edgewright.compile.workers import user_function
from edgewright.compile.workers.framework_errors import LOG
from edgewright.compile.workers.pool import Workers
from edgewright.config import home, usage_marks
from edgewright.errors import Code, ConversionError, DataError
from edgewright.files import sha256_file
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.base import Noun
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    from hashlib import _Hash as Digest

    import numpy as np

    Array = np.ndarray[Any, Any]

WORKER = "evaluation"  # the process that the user's own functions run in
_INPUTS, _LABELS, _RANGES = "inputs.npz", "labels.npy", "ranges.npy"
_NOTE = ".run"  # suffix of the file that says what a function yielded the last time
_EPOCH = (1980, 1, 1, 0, 0, 0)
_ZIP64 = 1 << 31
_ONE = "yield (inputs, label) a sample: an array, a list of them, or a dictionary by input name"


class EvaluationSet(Noun, frozen=True, kw_only=True):
    """A labelled set in the form that models on this machine and on boards are run on.

    Attributes:
        inputs: deterministic, uncompressed `.npz`: `input_<i>` of shape (n, *spec.shape). Boards get it.
        labels: `.npy` of shape (n, ...): int32, int64, float32 or float64. It stays here.
        count: n.
        sha256: of what the set was made from; of the preprocessing of images, and of all that a function yielded, too.
        names: how many class names were numbered in sorted order; 0: the numbers were given.
        ranges: (least, greatest real value) of each input; empty where not known.
    """

    inputs: Path
    labels: Path
    count: int
    sha256: str
    names: int = 0
    ranges: tuple[Range, ...] = ()

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
        workers: those of the command; without them a function runs in a separate worker.
        fresh: run a function again although its file did not change; once for all that share `workers`.

    Raises:
        DataError: the set does not fit the model, or has no labels.
        UsageError: no such function.
    """
    described = repr(list(specs)) + repr(preprocessing) + fingerprint()
    digest = data_sha256(path)
    key = hashlib.sha256((digest + described).encode()).hexdigest()
    folder = home.folder("evaluations")
    arguments: dict[str, Any] = {"path": path.absolute(), "specs": tuple(specs), "folder": folder, "key": key}
    yielded = ""
    if user_function.named(path) is None:
        if not _whole(_place(folder, key)):
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                write(preprocessing=preprocessing, scratch=Path(scratch), **arguments)
    else:
        made = {} if workers is None else workers.made
        yielded = made.get(key) or ("" if fresh else _noted(folder, key))
        if not yielded or not _whole(_place(folder, key, yielded)):
            with ExitStack() as stack:
                used = workers or stack.enter_context(Workers(home.folder("logs") / "convert.log"))
                yielded = made[key] = _run(used, path, {"preprocessing": preprocessing, **arguments})
        usage_marks.hold(folder / f"{key}{_NOTE}")
        digest = hashlib.sha256((digest + yielded).encode()).hexdigest()
    if (
        path.is_dir() and preprocessing is not None
    ):  # of images alone: it makes other inputs of the same files
        digest = hashlib.sha256(digest.encode() + msgspec.json.encode(preprocessing)).hexdigest()
    place = _place(folder, key, yielded)
    usage_marks.hold(place)
    return EvaluationSet(
        inputs=place / _INPUTS, labels=place / _LABELS, count=_rows(place / _LABELS), sha256=digest,
        names=labels.names(path) if path.is_dir() else 0, ranges=_load_ranges(place / _RANGES),
    )  # fmt: skip


def _run(workers: Workers, path: Path, arguments: dict[str, Any]) -> str:
    """`write` in the process of the user's functions. Raises DataError where that does not live."""
    try:
        # made here: it goes with what the function yielded so far, also where its process is ended
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
    """The inputs of a set of real values as those of a model with integer inputs, in the cache."""
    return _rewritten(given, specs, specs)


def dequantised(given: EvaluationSet, specs: Sequence[TensorSpec]) -> Path:
    """The inputs of a set of a model with integer inputs as the real values that they stand for, in the cache."""
    return _rewritten(given, specs, real_valued(specs))


def real_valued(specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """The inputs with floats for integers that have a scale."""
    return tuple(
        spec if spec.scale is None else TensorSpec(name=spec.name, shape=spec.shape, dtype="float32")
        for spec in specs
    )


def _rewritten(given: EvaluationSet, read: Sequence[TensorSpec], wanted: Sequence[TensorSpec]) -> Path:
    """The set's inputs, read as those of one model, written as those of another."""
    described = sha256_file(given.inputs) + repr(list(read)) + repr(list(wanted)) + fingerprint()
    place = home.folder("evaluations") / f"{hashlib.sha256(described.encode()).hexdigest()}.npz"
    if not usage_marks.hold(place):
        samples = data.samples(given.inputs, data.placed(read), None)
        if list(read) != list(wanted):
            scales = [msgspec.to_builtins(spec) for spec in read]
            samples = (
                [real(array, spec) for array, spec in zip(row, scales, strict=True)] for row in samples
            )
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            raws = [Path(folder) / str(index) for index in range(len(wanted))]
            _pack(Path(folder) / "inputs", wanted, raws, _spill(samples, raws))
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
) -> str:
    """Makes the set, whole or not at all. Memory stays bounded: one pass, one sample at a time.

    Args:
        folder: of all sets. key: of what the set is made from. scratch: an empty folder, beside the sets.

    Returns:
        Hex sha256 of what the function yielded, inputs and labels; empty for data.

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
        given = labels.read(path)
        count = _spill(seen_ranges.watched(data.samples(path, specs, preprocessing)), raws)
    else:
        seen = hashlib.sha256()
        count = _spill(seen_ranges.watched(_generated(path, specs, found, seen)), raws)
        given = labels.numeric(found, path) if found else np.zeros(0)
        _see(seen, given)
        yielded = seen.hexdigest()
    if not count:
        raise DataError(f"evaluation set is empty: {path}", hint=_ONE)
    if count != len(given):
        raise DataError(f"{path} has {count} samples and {len(given)} labels", hint="give one label a sample")
    _pack(made / _INPUTS, specs, raws, count)
    np.save(made / _LABELS, given)
    np.save(made / _RANGES, np.array(seen_ranges.found, np.float64))
    _settle(made, _place(folder, key, yielded), scratch / "damaged")
    if yielded:
        (scratch / "note").write_text(yielded, "ascii")
        (scratch / "note").replace(folder / f"{key}{_NOTE}")
    return yielded


def _place(folder: Path, key: str, yielded: str = "") -> Path:
    """The folder of a set; each different output of a function gets a separate one."""
    return folder / hashlib.sha256(f"{key} {yielded}".encode()).hexdigest()


def _whole(place: Path) -> bool:
    """Whether a set is there; if so it is marked as in use."""
    return usage_marks.hold(place) and all((place / name).is_file() for name in (_INPUTS, _LABELS, _RANGES))


def _settle(made: Path, place: Path, aside: Path) -> None:
    """Renames a set into place, both files at once, unless it is there: then it is the same."""
    usage_marks.hold(made)  # before it can be found by those who prune: the mark moves with it
    if _whole(place):
        return
    if place.exists():
        place.rename(aside)
    try:
        made.rename(place)
    except OSError:
        if not _whole(place):
            raise


def _noted(folder: Path, key: str) -> str:
    """What the function yielded the last time; empty where that is not known."""
    try:
        return (folder / f"{key}{_NOTE}").read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _see(seen: Digest, array: Array) -> None:
    """Takes an array into a checksum: its kind, shape and values."""
    seen.update(f"{array.dtype.str} {array.shape} ".encode())
    seen.update(array.tobytes())


def _generated(
    path: Path, specs: Sequence[TensorSpec], found: list[Any], seen: Digest
) -> Iterator[list[Array]]:
    """The inputs that the user's function yields, checked; its labels are added to `found`, the inputs to `seen`."""
    function = user_function.load(path)
    made = user_function.call(str(path), function, hint=_ONE)
    if not isinstance(made, Iterable):
        raise DataError(f"{path} is not a generator, it returned {type(made).__name__}", hint=_ONE)
    pairs = iter(made)
    while True:
        index = len(found)
        try:
            pair = next(pairs)
        except StopIteration:
            return
        except BaseException as error:
            raise DataError(
                f"{path} failed at sample {index}: {user_function.said(error)}", hint="run it by itself"
            ) from error
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise DataError(f"{path} yields no pair at sample {index}: {type(pair).__name__}", hint=_ONE)
        found.append(pair[1])
        arrays = _arrays(pair[0], specs, path, index)
        for array in arrays:
            _see(seen, array)
        yield [data.fitted(array, spec, str(path), index) for array, spec in zip(arrays, specs, strict=True)]


def _arrays(given: Any, specs: Sequence[TensorSpec], path: Path, index: int) -> list[Array]:
    """One sample's inputs in the order of the specs."""
    import numpy as np

    if isinstance(given, dict):
        keys = by_name(specs, given)
        if None in keys or len(given) != len(specs):
            raise DataError(
                f"{path} yields other inputs at sample {index}: {', '.join(map(str, given))}",
                hint=f"the model's are {', '.join(spec.name for spec in specs)}",
            )
        rows = [given[key] for key in keys]
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


def _load_ranges(path: Path) -> tuple[Range, ...]:
    import numpy as np

    return tuple((float(low), float(high)) for low, high in np.load(path, allow_pickle=False))


def _rows(labelled: Path) -> int:
    import numpy as np

    return len(np.load(labelled, mmap_mode="r", allow_pickle=False))
