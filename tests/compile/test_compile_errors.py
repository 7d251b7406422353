"""Users' mistakes: each gives one clear error, and nothing is stored."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from flat_requests import changed, compile_request

from edgewright.compile.cache_key import brought_by
from edgewright.compile.pipeline import compile_model, plan
from edgewright.compile.quality.verdict.refusal import Unlike
from edgewright.compile.recognition import recognise
from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.errors import ConversionError, DataError, EdgewrightError, ModelError, UsageError
from edgewright.nouns.precision import Tolerance
from edgewright.precisions import PRECISIONS
from edgewright.store.artifacts import ArtifactStore


def refused(kind: type[EdgewrightError], **request: object) -> EdgewrightError:
    """The error that planning the request raises; it has a hint."""
    with pytest.raises(kind) as caught:
        plan(compile_request(**request))  # type: ignore[arg-type]
    assert caught.value.hint
    assert not caught.value.message.endswith(".")
    return caught.value


def test_a_missing_model(tmp_path: Path) -> None:
    error = refused(ModelError, source=tmp_path / "none.onnx", target="onnxruntime")
    assert error.code == "model-not-found"


@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net.onnx"])
def test_a_truncated_model(models: Path, tmp_path: Path, name: str) -> None:
    data = (models / name).read_bytes()
    cut = tmp_path / name
    for size in (0, 30, len(data) // 2, len(data) - 1):
        cut.write_bytes(data[:size])
        assert refused(ModelError, source=cut, target="onnxruntime").code in (
            "model-truncated",
            "model-unknown",
        )


def test_a_truncated_tflite(models: Path, workers: Workers, tmp_path: Path) -> None:
    request = compile_request(source=models / "net.keras", target="tflite", precision="fp32")
    data = (compile_model(request, workers=workers).folder / "model.tflite").read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError):
        compile_model(compile_request(source=cut, target="tflite"), workers=workers)


def test_a_wrong_name(models: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "net.tflite"
    wrong.write_bytes((models / "net.onnx").read_bytes())
    error = refused(ModelError, source=wrong, target="tflite")
    assert error.message == "net.tflite is not what its name says, it is an ONNX file (.onnx)"
    assert error.hint == "rename it to net.onnx"


def test_noise_and_a_plain_folder(tmp_path: Path) -> None:
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)) * 9)
    assert refused(ModelError, source=tmp_path / "noise.bin", target="tflite").code == "model-unknown"
    assert refused(ModelError, source=tmp_path, target="tflite").code == "model-unknown"


def test_a_savedmodel_is_known_by_its_file_too(models: Path) -> None:
    folder, file = recognise(models / "net_saved"), recognise(models / "net_saved" / "saved_model.pb")
    assert folder == file
    assert folder.source.format == "savedmodel"


def test_an_edge_that_is_missing(tmp_path: Path) -> None:
    source = tmp_path / "net.xml"
    source.write_text('<net name="net" version="11"><layers/></net>')
    error = refused(ConversionError, source=source, target="tflite")
    assert error.message == "no way from OpenVINO IR (.xml) to tflite"
    assert error.hint == (
        "from ir there is openvino; to tflite from frozen, h5, keras, onnx, pt2, pytorch, savedmodel, tflite"
    )


def test_a_toolchain_that_is_missing(models: Path) -> None:
    error = refused(ConversionError, source=models / "net.onnx", target="tflite")
    assert error.code == "toolchain-missing"
    assert error.hint == "edgewright toolchain install onnx2tf"


def test_unknown_words(models: Path) -> None:
    source = models / "net.onnx"
    assert refused(UsageError, source=source, target="onyx").code == "target-unknown"
    assert "int7" in refused(UsageError, source=source, target="onnxruntime", precision="int7").message
    assert "top2" in refused(UsageError, source=source, target="onnxruntime", metric="top2").message
    refused(UsageError, source=source, target="onnxruntime", goldens=3)


def test_int8_without_calibration(models: Path) -> None:
    error = refused(UsageError, source=models / "net.onnx", target="onnxruntime", precision="int8")
    assert error.code == "calibration-missing"


def bad_data(place: Path) -> dict[str, tuple[Path, str]]:
    good = np.zeros((12, 3, 8, 8), np.float32)
    broken = good.copy()
    broken[7, 0, 0, 0] = np.nan
    arrays = {
        "empty": ({"x": good[:0]}, "data are empty"),
        "nan": ({"x": broken}, "sample 7 of .* x holds NaN"),
        "shape": ({"x": np.zeros((4, 8, 8, 3), np.float32)}, r"\(8, 8, 3\) instead of \(3, 8, 8\)"),
        "dtype": ({"x": good.astype(np.uint8)}, "wrong dtype: uint8 instead of float32"),
        "member": ({"left": good, "right": good}, "has no member for input x: left, right"),
    }
    found = {}
    for name, (members, message) in arrays.items():
        np.savez(place / f"{name}.npz", **members)
        found[name] = (place / f"{name}.npz", message)
    whole = (place / "nan.npz").read_bytes()
    (place / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (place / "folder").mkdir()
    return {
        **found,
        "cut": (place / "cut.npz", "data cannot be read"),
        "absent": (place / "absent.npz", "no such data file"),
        "folder": (place / "folder", "folder holds no images"),
    }


@pytest.mark.parametrize("name", ["empty", "nan", "shape", "dtype", "member", "cut", "absent", "folder"])
def test_calibration_that_does_not_fit(models: Path, workers: Workers, tmp_path: Path, name: str) -> None:
    path, message = bad_data(tmp_path)[name]
    given = {"source": models / "net.onnx", "target": "onnxruntime", "precision": "int8"}
    with pytest.raises(DataError, match=message):
        compile_model(compile_request(**given, calibration=path), workers=workers)
    assert not ArtifactStore(home.folder("artifacts")).list()


def test_accuracy_that_falls_too_far(models: Path, workers: Workers, tmp_path: Path) -> None:
    with np.load(models / "images.npz") as images:
        inputs = images["image"]
    np.savez(tmp_path / "evaluation.npz", image=inputs, labels=np.arange(len(inputs)) % 5)
    shared = {"source": models / "net.keras", "target": "tflite", "evaluation": tmp_path / "evaluation.npz"}
    manifest = compile_model(compile_request(**shared, precision="fp32"), workers=workers).manifest  # type: ignore[arg-type]
    assert manifest.accuracy is not None
    assert manifest.accuracy.n == 40
    assert manifest.accuracy.source == manifest.accuracy.artifact
    with pytest.raises(ConversionError, match="accuracy falls from"):
        compile_model(compile_request(**shared, precision="fp32", max_drop=-1.0), workers=workers)  # type: ignore[arg-type]


def test_an_evaluation_set_outweighs_answers_that_are_less_exact(
    models: Path, workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = msgspec.structs.replace(PRECISIONS["fp32"], tolerance=Tolerance(sqnr_db=199, relative=1e-12))
    monkeypatch.setitem(PRECISIONS._loaded, "fp32", strict)
    with np.load(models / "images.npz") as images:
        inputs = images["image"]
    labelled = tmp_path / "evaluation.npz"
    np.savez(labelled, image=inputs, labels=np.arange(len(inputs)) % 5)
    request = compile_request(source=models / "net.keras", target="tflite", precision="fp32")
    low = r"output \w+ differs from the source's: SQNR [\d.]+ dB of at least 199"
    with pytest.raises(Unlike, match=low):
        compile_model(request, workers=workers)
    request = changed(request, evaluation=labelled)
    notes = compile_model(request, workers=workers).manifest.notes
    assert re.search(
        low + r".*; accepted because top1 is [\d.]+ against [\d.]+ on 40 labelled samples", notes[-1]
    )
    with pytest.raises(Unlike, match=low + ".*; accuracy falls from") as caught:
        compile_model(msgspec.structs.replace(request, max_drop=-1.0), workers=workers)
    assert caught.value.code == "parity"


def test_answers_that_stray_are_refused(models: Path, workers: Workers, tmp_path: Path) -> None:
    """Calibrated ranges that are far too small clip everything: the artifact must not be stored."""
    np.savez(tmp_path / "one.npz", x=np.full((1, 3, 8, 8), 1e-4, np.float32))
    request = compile_request(
        source=models / "net.onnx", target="onnxruntime", precision="int8", calibration=tmp_path / "one.npz"
    )
    with pytest.raises(
        ConversionError, match=r"^onnxruntime int8: output \w+ differs from the source's: SQNR"
    ):
        compile_model(request, workers=workers)
    assert not ArtifactStore(home.folder("artifacts")).list()


def test_an_output_of_strings_is_named(workers: Workers, tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    def text(name: str, value: str) -> TensorProto:
        return helper.make_tensor(name, TensorProto.STRING, (), [value.encode()])

    nodes = [
        helper.make_node("Greater", ["x", "zero"], ["is"]),
        helper.make_node("Where", ["is", "yes", "no"], ["word"]),
    ]
    graph = helper.make_graph(
        nodes, "words",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 2))],
        [helper.make_tensor_value_info("word", TensorProto.STRING, (1, 2))],
        [text("yes", "yes"), text("no", "no"), helper.make_tensor("zero", TensorProto.FLOAT, (), [0.0])],
    )  # fmt: skip
    path = tmp_path / "words.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(ModelError, match=r"output word of words\.onnx is text") as caught:
        compile_model(compile_request(source=path, target="onnxruntime"), workers=workers)
    assert caught.value.code == "output-kind"


@pytest.mark.parametrize(
    ("tool", "install"),
    [("onnxscript", "edgewright[torch]"), ("tensorflow", "edgewright[tflite]"), ("acme-tool", "acme-tool")],
)
def test_what_installs_a_missing_tool(tool: str, install: str) -> None:
    assert brought_by(tool) == install
