"""Recognises the format of a source model by its content; its name is only checked against that."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from edgewright.compile import (
    archives,
    graph_operators,
    graphdef,
    irfile,
    onnxfile,
    own_function,
    python_source,
    savedmodelfile,
    tflitefile,
    weights_only,
)
from edgewright.config.bad_zip import BAD_ZIP
from edgewright.errors import Code, ModelError
from edgewright.nouns.artifact import Source
from edgewright.nouns.base import Noun

TITLES = {
    "keras": "a Keras 3 file (.keras)",
    "h5": "a Keras HDF5 file (.h5)",
    "savedmodel": "a TensorFlow SavedModel folder",
    "tflite": "a LiteRT file (.tflite)",
    "onnx": "an ONNX file (.onnx)",
    "frozen": "a frozen TensorFlow 1 graph (.pb)",
    "pt2": "a torch.export program (.pt2)",
    "pytorch": "a PyTorch function (module.py:function)",
    "ir": "OpenVINO IR (.xml)",
}
_SUFFIXES = {
    ".keras": "keras",
    ".h5": "h5",
    ".hdf5": "h5",
    ".tflite": "tflite",
    ".onnx": "onnx",
    ".pb": "frozen",
    ".pt2": "pt2",
    ".xml": "ir",
}
_KNOWN = (
    "known are .keras, .h5, a SavedModel folder, .tflite, .onnx, .pb (frozen), .pt2, module.py:function "
    "and OpenVINO's .xml"
)
HDF5 = b"\x89HDF\r\n\x1a\n"


class Recognised(Noun, frozen=True, kw_only=True):
    """A source model.

    Attributes:
        path: the file, the folder of a SavedModel, or `module.py:function`.
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
            code=Code.MODEL_MISNAMED,
        )
    source = Source(format=kind, file=path.name, sha256=digest)
    return Recognised(path=path, source=source, quantised=quantised, size=size)


def _unreadable(path: Path, error: OSError) -> ModelError:
    if isinstance(error, FileNotFoundError) and not path.exists():
        return ModelError(f"no such model: {path}", hint="check the path", code=Code.MODEL_NOT_FOUND)
    return ModelError(f"model cannot be read: {path}", hint=str(error), code=Code.MODEL_UNREADABLE)


def _look(path: Path) -> tuple[str, bool, list[Path]]:
    """(format, quantised, its files)."""
    if (own := own_function.named(path)) is not None and not path.exists():
        return "pytorch", False, python_source.look(*own)
    if path.is_dir():
        return _folder(path)
    if path.suffix.lower() == ".py":
        raise ModelError(
            f"no function named in {path.name}",
            hint=f"give {path}:FUNCTION, which returns (module, example inputs)",
            code=Code.NO_SUCH_FUNCTION,
        )
    head = _head(path)
    if not head:
        raise ModelError(f"model is empty: {path}", hint="copy or export it again", code=Code.MODEL_TRUNCATED)
    refusal = weights_only.refused_file(path) or archives.refused_by_its_start(path, head)
    if refusal is not None:
        raise refusal
    if head.startswith(b"PK\x03\x04"):
        return _zip(path)
    if head.startswith(HDF5):
        if path.stat().st_size < _hdf5_size(head):
            raise _truncated(path, "h5")
        return "h5", False, [path]
    if head[4:8] == b"TFL3":
        try:
            return "tflite", tflitefile.look(path).quantised, [path]
        except ValueError as error:
            raise _truncated(path, "tflite") from error
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return _ir(path)
    return _frozen(path) if head[:1] == b"\x0a" else _onnx(path)


def _head(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # to open a pipe waits for who writes it
        raise ModelError(
            f"model is not a regular file: {path}",
            hint="give the model's file or folder",
            code=Code.MODEL_UNREADABLE,
        )
    with path.open("rb") as file:
        return file.read(64)


def _folder(path: Path) -> tuple[str, bool, list[Path]]:
    if not (path / "saved_model.pb").is_file():
        if (refusal := weights_only.refused_folder(path)) is not None:
            raise refusal
        raise ModelError(
            f"folder is not a SavedModel, it has no saved_model.pb: {path}",
            hint=f"give the folder that holds saved_model.pb; {_KNOWN}",
            code=Code.MODEL_UNKNOWN,
        )
    index = path / "variables" / "variables.index"
    if (path / "variables").is_dir() and any((path / "variables").iterdir()) and not index.is_file():
        raise ModelError(f"SavedModel lacks variables/variables.index: {path}", hint="export it again")
    try:
        unsafe = savedmodelfile.unsafe(path / "saved_model.pb")
    except ValueError as error:
        raise _truncated(path, "savedmodel") from error
    if unsafe:
        raise graph_operators.refusal(path, unsafe)
    return "savedmodel", False, sorted(item for item in path.rglob("*") if item.is_file())


def _zip(path: Path) -> tuple[str, bool, list[Path]]:
    named = _SUFFIXES.get(path.suffix.lower())
    try:
        kind, quantised = archives.look(path)
    except BAD_ZIP as error:
        raise _truncated(path, named if named == "pt2" else "keras") from error
    if not kind:
        raise _unknown(path)
    return kind, quantised, [path]


def _ir(path: Path) -> tuple[str, bool, list[Path]]:
    weights = path.with_suffix(".bin")
    try:
        found = irfile.look(path)
    except ValueError as error:
        if path.suffix.lower() == ".xml":
            raise _truncated(path, "ir") from error
        raise _unknown(path) from error
    if found is None:
        raise _unknown(path)
    if found.weights and not weights.is_file():
        raise ModelError(
            f"weights of {path.name} are missing: {weights}",
            hint="OpenVINO IR is two files, the .bin belongs beside the .xml",
            code=Code.MODEL_TRUNCATED,
        )
    if found.weights and weights.stat().st_size < found.weights:
        raise _truncated(weights, "ir")
    return "ir", found.quantised, [path, weights] if found.weights else [path]


def _frozen(path: Path) -> tuple[str, bool, list[Path]]:
    """A frozen graph, or what else may begin with a message: an ONNX file does so when its fields are reordered."""
    named = path.suffix.lower() == ".pb"
    try:
        found = graphdef.look(path)
    except ValueError as error:
        if named:
            raise _truncated(path, "frozen") from error
        found = None
    if found is None:
        return _onnx(path)
    if found.unsafe:
        raise graph_operators.refusal(path, found.unsafe)
    if found.variables:
        raise ModelError(
            f"graph is not frozen, it has {len(found.variables)} variables: {path.name}",
            hint="freeze it with tf.compat.v1.graph_util.convert_variables_to_constants, or give a SavedModel",
            code=Code.MODEL_NOT_FROZEN,
        )
    return "frozen", found.quantised, [path]


def _onnx(path: Path) -> tuple[str, bool, list[Path]]:
    try:
        found = onnxfile.look(path)
    except ValueError as error:
        if path.suffix.lower() == ".onnx":
            raise ModelError(
                f"file is not an ONNX model, or is cut short: {path}",
                hint="copy or export it again",
                code=Code.MODEL_TRUNCATED,
            ) from error
        if path.suffix.lower() == ".pb" and graphdef.is_saved_model(path):
            raise ModelError(
                f"file is part of a SavedModel: {path}",
                hint="give its folder, in which the file is called saved_model.pb",
                code=Code.MODEL_MISNAMED,
            ) from error
        raise _unknown(path) from error
    beside = [path.parent / name for name in found.external]
    for weights in beside:
        if not weights.is_file() or path.parent.resolve() not in weights.resolve().parents:
            raise ModelError(
                f"weights of {path.name} are missing: {weights}",
                hint="an ONNX model with external data needs those files in the same folder",
                code=Code.MODEL_TRUNCATED,
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
        code=Code.MODEL_TRUNCATED,
    )


def _unknown(path: Path) -> ModelError:
    return ModelError(
        f"model is of no known format: {path}",
        hint=_KNOWN,
        code=Code.MODEL_UNKNOWN,
    )


def _digest(path: Path, files: list[Path]) -> tuple[str, int]:
    """sha256 of one file's bytes; of several: of `<sha256>  <relative path>` lines. And their size."""
    digests = [(item, file_sha256(item)) for item in files]
    size = sum(item.stat().st_size for item in files)
    if len(digests) == 1:
        return digests[0][1], size
    base = path if path.is_dir() else path.parent
    lines = "".join(f"{digest}  {_relative(item, base)}\n" for item, digest in digests)
    return hashlib.sha256(lines.encode()).hexdigest(), size


def _relative(item: Path, base: Path) -> str:
    """The path below `base`; of a file elsewhere its name, so that a digest does not depend on the machine."""
    return item.relative_to(base).as_posix() if item.is_relative_to(base) else item.name


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
