"""Folders and files that hold weights without a graph: one line says which model it is and what to export instead."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest

from edgewright.compile.recognition import recognise
from edgewright.errors import ModelError

BERT = {"architectures": ["BertForSequenceClassification"], "model_type": "bert"}
HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
TENSORS = struct.pack("<Q", len(HEADER)) + HEADER + bytes(4)
GGUF = (
    b"GGUF"
    + struct.pack("<IQQQ", 3, 1, 1, 20)
    + b"general.architecture"
    + struct.pack("<IQ", 8, 5)
    + b"llama"
)
EXPORT = "optimum-cli export onnx --model {place} OUT, then give OUT/model.onnx"


def folder(path: Path, files: dict[str, object]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def refused(path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        recognise(path)
    assert caught.value.code == "model-refused"
    return caught.value


@pytest.mark.parametrize(
    ("files", "what", "hint"),
    [
        ({"config.json": BERT, "model.safetensors": TENSORS}, "a Hugging Face model (BertForSequenceClassification)", EXPORT),
        ({"config.json": {"model_type": "vit"}, "pytorch_model.bin": b"\x80\x02x"}, "a Hugging Face model (vit)", EXPORT),
        ({"config.json": {**BERT, "is_encoder_decoder": True}}, "a Hugging Face model", "OUT/encoder_model.onnx and OUT/decoder_model.onnx"),
        ({"config.json": BERT, "modules.json": []}, "a sentence-transformers model (BertFor", "--library sentence_transformers --model"),
        ({"model_index.json": {"_class_name": "FluxPipeline"}}, "a diffusers pipeline (FluxPipeline)", "optimum-cli"),
        ({"adapter_config.json": {"base_model_name_or_path": "a/b"}}, "an adapter of a/b", "merge_and_unload"),
        ({"config.json": {"architecture": "resnet18", "num_classes": 9}}, "a timm model (resnet18)", "--library timm"),
        (
            {"config.json": {"module": "keras_hub.src.models", "class_name": "BertBackbone", "registered_name": "keras_hub>BertBackbone"},
             "task.json": {"class_name": "BertTextClassifier"}},
            "a KerasHub preset (BertBackbone)", "keras_hub.models.BertTextClassifier.from_preset(",
        ),
        ({"config.json": {"class_name": "Functional", "registered_name": "Functional"}}, "the parts of a Keras file", "the .keras file"),
    ],
)  # fmt: skip
def test_folders(tmp_path: Path, files: dict[str, object], what: str, hint: str) -> None:
    place = folder(tmp_path / "net", files)
    error = refused(place)
    assert error.message.startswith(f"folder holds {what}")
    assert hint.format(place=place) in error.hint


def test_a_folder_that_holds_its_export(tmp_path: Path) -> None:
    files = {
        "config.json": BERT,
        "model.safetensors": TENSORS,
        "onnx/model_O2.onnx": b"1",
        "onnx/model.onnx": b"1",
    }
    error = refused(folder(tmp_path / "net", files))
    assert "(BertForSequenceClassification) and its export" in error.message
    assert error.hint == f"give {tmp_path}/net/onnx/model.onnx"
    assert refused(folder(tmp_path / "plain", {"a.onnx": b"1"})).hint == f"give {tmp_path}/plain/a.onnx"
    nested = folder(tmp_path / "old", {"config.json": BERT, "saved_model/1/saved_model.pb": b"1"})
    assert refused(nested).hint == f"give {nested}/saved_model/1"
    cache = folder(tmp_path / "models--bert", {"snapshots/0a/config.json": BERT})
    assert refused(cache).hint == f"give {cache}/snapshots/0a"
    looped = folder(tmp_path / "looped", {"config.json": BERT, "snapshots/other/README.md": b""})
    (looped / "snapshots" / "main").symlink_to(looped)
    assert EXPORT.format(place=looped) in refused(looped).hint


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "tf_model.h5"])
def test_a_file_of_such_a_folder(tmp_path: Path, name: str) -> None:
    start = {
        "model.safetensors": TENSORS,
        "pytorch_model.bin": b"\x80\x02.",
        "tf_model.h5": b"\x89HDF\r\n\x1a\n",
    }
    place = folder(tmp_path / "a b", {"config.json": BERT, name: start[name] + bytes(99)})
    error = refused(place / name)
    assert (
        error.message
        == f"{name} holds weights alone, of a Hugging Face model (BertForSequenceClassification)"
    )
    assert EXPORT.format(place=f"'{place}'") in error.hint
    (place / "config.json").unlink()
    if name == "model.safetensors":
        assert "a model of Hugging Face's: optimum-cli" in refused(place / name).hint


def test_language_models_of_llama_cpp(tmp_path: Path) -> None:
    place = folder(tmp_path / "net", {"q4.gguf": GGUF + bytes(64), "config.json": {}})
    for path in (place, place / "q4.gguf"):
        assert refused(path).message == "q4.gguf is a language model for llama.cpp (llama), GGUF has no graph"
    assert "llama.cpp, GGUF" in refused(folder(tmp_path / "cut", {"x.gguf": b"GGUF"}) / "x.gguf").message


@pytest.mark.parametrize(
    "config", [b" " * (2 << 20), b"[" * 99_999, b"\xff", b'{"architectures": 3}', b"[1]"]
)
def test_strange_configurations(tmp_path: Path, config: bytes) -> None:
    place = folder(tmp_path / "net", {"config.json": config, "model.safetensors": TENSORS})
    assert refused(place).hint


def test_names_are_safe_for_a_terminal(tmp_path: Path) -> None:
    names = {"architectures": ["\x1b[31mred\n" + "x" * 200], "model_type": "x"}
    message = refused(folder(tmp_path / "net", {"config.json": names})).message
    assert message.isprintable()
    assert len(message) < 200 + len(str(tmp_path))


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1, 4097])
def test_a_gguf_file_with_a_key_longer_than_it_is(tmp_path: Path, length: int) -> None:
    (tmp_path / "x.gguf").write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, length) + bytes(64))
    assert "language model for llama.cpp, GGUF" in refused(tmp_path / "x.gguf").message


@pytest.mark.parametrize("name", ["m.gguf", "model.safetensors", "x.onnx"])
def test_pipes_are_not_opened(tmp_path: Path, name: str) -> None:
    pipe = tmp_path / "net" / name
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)  # who reads it gets something, rather than that the test waits
    try:
        os.write(held, GGUF + bytes(32_000))
        with pytest.raises(ModelError, match="not a regular file"):
            recognise(pipe)
        with pytest.raises(ModelError, match="folder is not a SavedModel"):
            recognise(pipe.parent)
    finally:
        os.close(held)
