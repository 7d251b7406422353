"""Says what a source model is by its content; its name is only checked against that."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from pathlib import Path

from edgewright.compile import onnxfile, tflitefile
from edgewright.errors import ModelError
from edgewright.nouns.artifact import Source
from edgewright.nouns.base import Noun

TITLES = {
    "keras": "a Keras 3 file (.keras)",
    "h5": "a Keras HDF5 file (.h5)",
    "savedmodel": "a TensorFlow SavedModel folder",
    "tflite": "a LiteRT file (.tflite)",
    "onnx": "an ONNX file (.onnx)",
}
_SUFFIXES = {".keras": "keras", ".h5": "h5", ".hdf5": "h5", ".tflite": "tflite", ".onnx": "onnx"}
_HDF5 = b"\x89HDF\r\n\x1a\n"


class Recognised(Noun, frozen=True, kw_only=True):
    """A source model.

    Attributes:
        path: the file, or the folder of a SavedModel.
        quantised: it holds integer arithmetic already, so it must not be quantised again.
        size: bytes in all.
    """

    path: Path
    source: Source
    quantised: bool
    size: int


def recognise(path: Path) -> Recognised:
    """Reads enough of the model to say what it is, and its sha256.

    Raises:
        ModelError: it is missing, unreadable, cut short, of no known format, or not what its name says.
    """
    path = path.parent if path.name == "saved_model.pb" else path
    try:
        kind, quantised, files = _look(path)
        digest, size = _digest(path, files)
    except OSError as error:
        raise _unreadable(path, error) from error
    named = _SUFFIXES.get(path.suffix.lower())
    if named and named != kind and not (path.is_dir() and named == "keras"):
        right = next((suffix for suffix, name in _SUFFIXES.items() if name == kind), "")
        raise ModelError(
            f"{path.name} is not what its name says, it is {TITLES[kind]}",
            hint=f"rename it to {path.stem}{right}" if right else "",
            code="model-misnamed",
        )
    source = Source(format=kind, file=path.name, sha256=digest)
    return Recognised(path=path, source=source, quantised=quantised, size=size)


def _unreadable(path: Path, error: OSError) -> ModelError:
    if isinstance(error, FileNotFoundError) and not path.exists():
        return ModelError(f"no such model: {path}", hint="check the path", code="model-not-found")
    return ModelError(f"model cannot be read: {path}", hint=str(error), code="model-unreadable")


def _look(path: Path) -> tuple[str, bool, list[Path]]:
    """(format, quantised, its files)."""
    if path.is_dir():
        return _folder(path)
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ModelError(f"model is empty: {path}", hint="copy or export it again", code="model-truncated")
    if head.startswith(b"PK\x03\x04"):
        return _zip(path)
    if head.startswith(_HDF5):
        if path.stat().st_size < _hdf5_size(head):
            raise _truncated(path, "h5")
        return "h5", False, [path]
    if head[4:8] == b"TFL3":
        try:
            return "tflite", tflitefile.look(path).quantised, [path]
        except ValueError as error:
            raise _truncated(path, "tflite") from error
    return _onnx(path)


def _folder(path: Path) -> tuple[str, bool, list[Path]]:
    if not (path / "saved_model.pb").is_file():
        raise ModelError(
            f"folder is no SavedModel, it has no saved_model.pb: {path}",
            hint="give the folder that holds saved_model.pb, or a .keras, .h5, .tflite or .onnx file",
            code="model-unknown",
        )
    index = path / "variables" / "variables.index"
    if (path / "variables").is_dir() and any((path / "variables").iterdir()) and not index.is_file():
        raise ModelError(f"SavedModel lacks variables/variables.index: {path}", hint="export it again")
    return "savedmodel", False, sorted(item for item in path.rglob("*") if item.is_file())


def _zip(path: Path) -> tuple[str, bool, list[Path]]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError) as error:
        raise _truncated(path, "keras") from error
    if damaged:
        raise _truncated(path, "keras")
    if not {"config.json", "model.weights.h5"} <= members:
        raise _unknown(path)
    return "keras", False, [path]


def _onnx(path: Path) -> tuple[str, bool, list[Path]]:
    try:
        found = onnxfile.look(path)
    except ValueError as error:
        if path.suffix.lower() == ".onnx":
            raise ModelError(
                f"file is no ONNX model, or is cut short: {path}",
                hint="copy or export it again",
                code="model-truncated",
            ) from error
        raise _unknown(path) from error
    beside = [path.parent / name for name in found.external]
    for weights in beside:
        if not weights.is_file() or path.parent.resolve() not in weights.resolve().parents:
            raise ModelError(
                f"weights of {path.name} are missing: {weights}",
                hint="an ONNX model with external data needs those files in the same folder",
                code="model-truncated",
            )
    return "onnx", found.quantised, [path, *beside]


def _hdf5_size(head: bytes) -> int:
    """The end-of-file address in an HDF5 superblock; 0 where offsets are not of 8 bytes."""
    if len(head) < 64:
        return 64
    version = head[8]
    width, at = (head[13], 40) if version < 2 else (head[9], 28)
    if version == 1:
        at += 4
    return int(struct.unpack_from("<Q", head, at)[0]) if width == 8 else 0


def _truncated(path: Path, kind: str) -> ModelError:
    return ModelError(
        f"model is cut short or damaged: {path}",
        hint=f"it begins like {TITLES[kind]}; copy or export it again",
        code="model-truncated",
    )


def _unknown(path: Path) -> ModelError:
    return ModelError(
        f"model is of no known format: {path}",
        hint="known are .keras, .h5, a SavedModel folder, .tflite and .onnx",
        code="model-unknown",
    )


def _digest(path: Path, files: list[Path]) -> tuple[str, int]:
    """sha256 of one file's bytes; of several: of `<sha256>  <relative path>` lines. And their size."""
    digests = [(item, file_sha256(item)) for item in files]
    size = sum(item.stat().st_size for item in files)
    if len(digests) == 1:
        return digests[0][1], size
    base = path if path.is_dir() else path.parent
    lines = "".join(f"{digest}  {item.relative_to(base).as_posix()}\n" for item, digest in digests)
    return hashlib.sha256(lines.encode()).hexdigest(), size


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
