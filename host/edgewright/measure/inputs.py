"""Converts an input file of `infer` to the `.npz` that the agent reads."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.data import images, samples
from edgewright.compile.data.evaluation_set import real_valued
from edgewright.compile.data.goldens import write_npz
from edgewright.compile.data.npz_members import paired
from edgewright.config.zip_errors import BAD_ZIP
from edgewright.errors import DataError
from edgewright.measure.release_manifest import Released
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.precision import AS_IS
from edgewright.nouns.project import Preprocessing

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

MAX_INPUT = 1024**3  # bytes of the input file
NOT_KNOWN = "the board does not say what the inputs are called: name the members input_0, input_1, ..."


def check_file(source: Path) -> None:
    """Raises DataError if there is no such file, or it is too large."""
    try:
        size = source.stat().st_size
    except OSError as error:
        raise DataError(f"no such input: {source}", hint="a picture, or a .npy or .npz file") from error
    if source.is_dir():
        raise DataError(f"the input is a folder: {source}", hint="a picture, or a .npy or .npz file")
    if size > MAX_INPUT:
        raise DataError(f"the input is larger than 1 GiB: {source}")


def is_picture(source: Path) -> bool:
    """Whether a file is an image, by its name."""
    return source.suffix.lower() in images.SUFFIXES


def packed(source: Path, about: Released | None) -> bytes:
    """The inputs as an `.npz` with members `input_<i>`, in the order of the release's inputs.

    Args:
        source: an image, converted by the release's preprocessing; `.npy` for a single input; `.npz` with members that
            `npz_members.paired` can match. The leading axis is samples; a single sample may omit it.
        about: the release; None if the board does not report it. Members must then be named `input_<i>`, or be the only one.

    Raises:
        DataError: it cannot be read, or does not fit the model.
    """
    check_file(source)
    if is_picture(source):
        arrays = [_picture(source, about)]
    elif about is None:
        arrays = _by_place(source)
    else:
        found = _members(source, about.inputs)
        arrays = [_fitted(array, spec, source) for array, spec in zip(found, about.inputs, strict=True)]
        _same_length(arrays, about.inputs, source)
    buffer = io.BytesIO()
    write_npz(buffer, ((f"input_{index}", array) for index, array in enumerate(arrays)))
    return buffer.getvalue()


def _picture(source: Path, about: Released | None) -> Array:
    preprocessing = about.preprocessing if about else None
    if about is None or preprocessing is None:
        raise DataError(
            f"the release does not say how a picture becomes an input: {source}",
            hint="write [preprocessing] in edgewright.toml and deploy again, or give an .npz",
        )
    if len(about.inputs) != 1:
        raise DataError(
            f"one picture for {len(about.inputs)} inputs: {source}", hint=f"give {_npz(about.inputs)}"
        )
    _check_size(source, preprocessing, about.inputs[0])
    # as in an evaluation set: quantise for integer inputs that edgewright made, not for those that the source had
    specs = about.inputs if about.precision == AS_IS else real_valued(about.inputs)
    array = images.read(source, preprocessing, specs[0])
    return _fitted(array, about.inputs[0], source)


def _check_size(source: Path, preprocessing: Preprocessing, spec: TensorSpec) -> None:
    """Raises DataError for images of another size than the input's: a board must not choose how large they get."""
    axes = spec.shape[-2:] if preprocessing.layout == "nchw" else spec.shape[-3:-1]
    if preprocessing.size is not None and preprocessing.size != axes:
        raise DataError(
            f"the release makes pictures of {list(preprocessing.size)}, input {spec.name} has {list(spec.shape)}: {source}",
            hint="repair size or layout in [preprocessing] and deploy again, or give an .npz",
        )


def _members(source: Path, specs: Sequence[TensorSpec]) -> list[Array]:
    with _Opened(source) as opened:
        if opened.lone is not None:
            if len(specs) != 1:
                raise DataError(f"one array for {len(specs)} inputs: {source}", hint=f"give {_npz(specs)}")
            return [opened.lone]
        return [opened.member(name) for name in paired(source, specs, opened.names)]


def _by_place(source: Path) -> list[Array]:
    with _Opened(source) as opened:
        if opened.lone is not None:
            return [opened.lone]
        places = [f"input_{index}" for index in range(len(opened.names))]
        if sorted(places) != sorted(opened.names) and len(places) != 1:
            raise DataError(f"{source} has members of other names: {', '.join(opened.names)}", hint=NOT_KNOWN)
        return [opened.member(name) for name in (places if places[0] in opened.names else opened.names)]


class _Opened:
    """An opened `.npy` or `.npz`: `lone` is the array of the former, `names` the members of the latter."""

    def __init__(self, source: Path) -> None:
        import numpy as np

        self._source, self.lone, self.names = source, None, []
        self._file = source.open("rb")
        try:
            found = self._read(lambda: np.load(self._file, allow_pickle=False))
        except BaseException:
            self._file.close()
            raise
        self._archive = found
        if isinstance(found, np.ndarray):
            self.lone = found
        else:
            self.names = list(found.files)

    def member(self, name: str) -> Array:
        """One array."""
        found: Array = self._read(lambda: self._archive[name])
        return found

    def _read(self, what: Any) -> Any:
        try:
            return what()
        except (OSError, *BAD_ZIP) as error:
            raise DataError(f"not a .npy or .npz file: {self._source}", hint=unpickled(error)) from None

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _fitted(array: Array, spec: TensorSpec, source: Path) -> Array:
    """The samples of one input, converted to its shape and dtype if that loses nothing."""
    import numpy as np

    one = spec.shape[1:] if spec.shape[:1] == (1,) else spec.shape
    if not array.ndim or (
        array.shape in (spec.shape[1:], spec.shape) and array.shape[1:] not in (one, spec.shape)
    ):
        array = array.reshape(1, *spec.shape) if array.size == math.prod(spec.shape) else array[None]
    if array.shape[1:] not in (one, spec.shape):
        wanted = ", ".join(map(str, ("samples", *spec.shape)))
        raise DataError(
            f"{source} has the wrong shape for input {spec.name}: {list(array.shape)} instead of [{wanted}]",
            hint="the leading axis is samples, the rest one input",
        )
    want = np.dtype(spec.dtype)
    if array.dtype.kind == "f" and want.kind in "iu" and not np.isfinite(array).all():
        raise DataError(
            f"{source} holds NaN or infinity for input {spec.name}, which takes integers", hint="repair it"
        )
    array = samples.as_input(array, spec)
    if array.dtype != want and not (array.dtype.kind == want.kind == "f" or samples.widens(array, want)):
        raise DataError(
            f"{source} has the wrong dtype for input {spec.name}: {array.dtype} instead of {want}",
            hint=f"convert it with .astype('{want}') the way the model was trained on it",
        )
    return np.ascontiguousarray(array, dtype=want)


def _same_length(arrays: Sequence[Array], specs: Sequence[TensorSpec], source: Path) -> None:
    lengths = {spec.name: len(array) for spec, array in zip(specs, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"members of {source} differ in length: {lengths}", hint="give one row per sample in each"
        )


def _npz(specs: Sequence[TensorSpec]) -> str:
    return f"an .npz with members {', '.join(spec.name for spec in specs)}"


def unpickled(error: Exception) -> str:
    """The fault of a file; numpy takes unknown content for a pickle and offers to load it."""
    return "write it with numpy.save or numpy.savez" if "pickle" in str(error) else str(error)


def samples_in(inputs: bytes) -> int:
    """How many samples there are in what `packed` gave."""
    with zipfile.ZipFile(io.BytesIO(inputs)) as archive, archive.open("input_0.npy") as member:
        return samples.header(member)[0][0]


def arrays_of(inputs: bytes, count: int) -> Iterator[Array]:
    """The arrays in the bytes from `packed`."""
    import numpy as np

    with np.load(io.BytesIO(inputs), allow_pickle=False) as archive:
        for index in range(count):
            yield archive[f"input_{index}"]
