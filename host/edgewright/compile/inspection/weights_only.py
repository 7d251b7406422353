"""Recognises files that hold a model's weights without its graph: Hugging Face, KerasHub, llama.cpp.

The files are inspected, never loaded. The error says what to export instead.
"""

from __future__ import annotations

import json
import shlex
import struct
from pathlib import Path
from typing import Any

from edgewright.errors import Code, ModelError

_MAX_CONFIG_BYTES = 1 << 20  # bytes of a configuration that are read
_MAX_NAME = 60  # characters of a name from a file
_EXPORTED = (
    "model.onnx", "onnx/model.onnx", "onnx/*.onnx", "*.onnx", "openvino_model.xml", "openvino/*.xml", "*.tflite", "*.keras", "*.pt2",
    "saved_model/*/saved_model.pb",
)  # fmt: skip
_WEIGHTS = (".safetensors", ".bin", ".h5", ".msgpack")
_LOOSE = ("*.safetensors", "pytorch_model*.bin", "*.ckpt")
_GGUF = b"GGUF"
_GGUF_TEXT = 8  # GGUF's type number for a string


def refused_folder(path: Path) -> ModelError | None:
    """The error for a folder that is recognised but not a SavedModel; else None."""
    if (found := _exported(path)) is not None:
        what = _of_folder(path)
        return _refused(
            f"folder holds {what[0]} and its export: {path}" if what else f"folder is not a model, but holds one: {path}",
            f"give {_quoted(found)}",
        )  # fmt: skip
    snapshots = _files(path, "snapshots/*/config.json")
    snapshots = [item for item in snapshots if not item.parent.samefile(path)]
    if snapshots:
        return _refused(
            f"folder is Hugging Face's cache of a model: {path}", f"give {_quoted(snapshots[0].parent)}"
        )
    if what := _of_folder(path):
        return _refused(f"folder holds {what[0]}, which has no graph: {path}", what[1])
    if ggufs := _files(path, "*.gguf"):
        return refused_file(ggufs[0])
    if weights := sorted(item for pattern in _LOOSE for item in _files(path, pattern)):
        return _refused(
            f"folder holds weights alone, which have no graph: {weights[0]}", _optimum(_quoted(path), "")
        )
    return None


def refused_file(path: Path) -> ModelError | None:
    """The error for a weights file next to a configuration that names its model, or for a GGUF file; else None."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(_GGUF):
        name = _architecture(head)
        return _refused(
            f"{path.name} is a language model for llama.cpp{f' ({name})' if name else ''}, GGUF has no graph",
            "no board's runtime here reads it; run it by llama.cpp, or export the model that it was made from: "
            "optimum-cli export onnx --model NAME OUT, then give OUT/model.onnx",
        )
    if path.suffix.lower() not in _WEIGHTS:
        return None
    what = _of_folder(path.parent)
    if what is None or (
        path.suffix.lower() == ".h5" and path.name not in ("tf_model.h5", "model.weights.h5")
    ):
        return None
    return _refused(f"{path.name} holds weights alone, of {what[0]}", what[1])


def _of_folder(path: Path) -> tuple[str, str] | None:
    """(the model that a folder's files belong to, what to export); None if unknown."""
    place = _quoted(path)
    if (path / "modules.json").is_file() or (path / "config_sentence_transformers.json").is_file():
        names = _names(_json(path / "config.json"))
        return (f"a sentence-transformers model{names}", _optimum(place, "--library sentence_transformers "))
    if index := _json(path / "model_index.json"):
        kind = f" ({_text(index['_class_name'])})" if "_class_name" in index else ""
        return (
            f"a diffusers pipeline{kind}",
            f"optimum-cli export onnx --model {place} OUT, then give its models one by one",
        )
    if adapter := _json(path / "adapter_config.json"):
        base = _text(adapter.get("base_model_name_or_path", "its base model"))
        return (
            f"an adapter of {base}",
            "merge it: model.merge_and_unload().save_pretrained(FOLDER), then export FOLDER",
        )
    config = _json(path / "config.json")
    if "registered_name" in config or "keras_version" in _json(path / "metadata.json"):
        name = _text(config.get("class_name", "Backbone"))
        if (
            (path / "task.json").is_file()
            or "keras_hub" in str(config.get("module", ""))
            or "keras_nlp" in str(config.get("module", ""))
        ):
            return (
                f"a KerasHub preset ({name})",
                f"keras_hub.models.{_loader(path)}.from_preset({str(path)!r}).export(OUT), then give OUT",
            )
        return (
            f"the parts of a Keras file ({name})",
            "give the .keras file that it was unpacked from, or pack it again",
        )
    if "model_type" in config or "architectures" in config:
        return f"a Hugging Face model{_names(config)}", _optimum(
            place, "", both=config.get("is_encoder_decoder") is True
        )
    if "architecture" in config and ("pretrained_cfg" in config or "num_classes" in config):
        return f"a timm model ({_text(config['architecture'])})", _optimum(place, "--library timm ")
    return None


def _loader(path: Path) -> str:
    """The KerasHub class that loads a preset: its task's class if it has one."""
    name = _text(_json(path / "task.json").get("class_name", ""))
    return name if name.isidentifier() else "Backbone"


def _optimum(place: str, library: str, *, both: bool = False) -> str:
    made = "OUT/encoder_model.onnx and OUT/decoder_model.onnx, each by itself" if both else "OUT/model.onnx"
    return f"export it: optimum-cli export onnx {library}--model {place} OUT, then give {made}"


def _names(config: dict[str, Any]) -> str:
    given = config.get("architectures") or [config.get("model_type")]
    names = [_text(name) for name in given if isinstance(name, str)][:3] if isinstance(given, list) else []
    return f" ({', '.join(names)})" if names else ""


def _exported(path: Path) -> Path | None:
    """The most likely convertible model in a folder; None if there is none."""
    for pattern in _EXPORTED:
        if found := _files(path, pattern):
            return found[0].parent if found[0].name == "saved_model.pb" else found[0]
    return None


def _files(path: Path, pattern: str) -> list[Path]:
    """Regular files only: opening a pipe would block."""
    return sorted(item for item in path.glob(pattern) if item.is_file())


def _json(path: Path) -> dict[str, Any]:
    """The contents of a small JSON file; empty if it is missing, large or something else."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_CONFIG_BYTES:
            return {}
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _architecture(head: bytes) -> str:
    """`general.architecture` of a GGUF file if it is the first value, as llama.cpp writes it."""
    try:
        (length,) = struct.unpack_from("<Q", head, 24)
        if length > len(head):  # a hostile length may exceed any offset
            return ""
        key = head[32 : 32 + length]
        kind, size = struct.unpack_from("<IQ", head, 32 + length)
    except struct.error:
        return ""
    if key != b"general.architecture" or kind != _GGUF_TEXT:
        return ""
    start = 32 + length + 12
    return _text(head[start : start + min(size, _MAX_NAME)].decode("utf-8", "replace"))


def _text(given: object) -> str:
    """A name from a file, made safe for a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in str(given)[:_MAX_NAME])


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _refused(message: str, hint: str) -> ModelError:
    return ModelError(message, hint=hint, code=Code.MODEL_REFUSED)
