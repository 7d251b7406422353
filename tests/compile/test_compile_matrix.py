"""Every source format to every target and precision, by the real converters and runners."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright import targets
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError
from edgewright.nouns.artifact import Artifact
from edgewright.store.artifacts import load

PRECISIONS = ("fp32", "fp16", "int8-dynamic", "int8")


def compiled(
    models: Path, workers: Workers, source: str, target: str, precision: str | None, **more: object
) -> Artifact:
    calibration = "synthetic" if source == "net.onnx" else models / "images.npz"
    given = {"calibration": calibration if precision == "int8" else None, **more}
    request = compile_request(source=models / source, target=target, precision=precision, **given)  # type: ignore[arg-type]
    return compile_model(request, workers=workers)


@pytest.mark.parametrize(
    ("target", "precision"), list(product(("tflite", "onnxruntime", "openvino"), PRECISIONS))
)
def test_keras_goes_everywhere_twice_the_same(
    models: Path, workers: Workers, target: str, precision: str
) -> None:
    first = compiled(models, workers, "net.keras", target, precision)
    again = compiled(models, workers, "net.keras", target, precision, use_cache=False)
    assert first.id == again.id
    manifest = load(first.folder).manifest
    assert manifest.precision == precision
    assert manifest.goldens.count == 16
    assert manifest.goldens.framework.startswith("tensorflow ")
    assert manifest.goldens.origin == ("calibration" if precision == "int8" else "random")
    assert manifest.parity.sqnr_db >= (100 if precision == "fp32" else manifest.goldens.tolerance.sqnr_db)
    assert manifest.inputs[0].shape == (1, 8, 8, 3)
    assert manifest.outputs[0].shape == (1, 5)
    assert manifest.calibration.kind == ("data" if precision == "int8" else "none")
    if target == "onnxruntime":
        assert manifest.requires["opset"] == 13
        assert manifest.requires["ir"] <= 8


@pytest.mark.parametrize(("target", "precision"), list(product(("onnxruntime", "openvino"), PRECISIONS)))
def test_onnx_goes_to_its_targets(models: Path, workers: Workers, target: str, precision: str) -> None:
    manifest = compiled(models, workers, "net.onnx", target, precision).manifest
    assert manifest.goldens.framework.startswith("onnxruntime ")
    assert manifest.inputs[0].shape == (1, 3, 8, 8)
    assert manifest.calibration.kind == ("synthetic" if precision == "int8" else "none")
    runs_anew(targets.runner(target), compiled(models, workers, "net.onnx", target, precision))


def runs_anew(runner: object, artifact: Artifact) -> None:
    """Runs the stored artifact on its goldens again, with the runner in this process."""
    import json

    raw = json.loads((artifact.folder / "manifest.json").read_text())
    session = runner.load(str(artifact.folder), raw, {"threads": 1, "accelerator": "cpu"})  # type: ignore[attr-defined]
    assert session.accelerator == "cpu"
    with np.load(artifact.folder / raw["goldens"]["file"]) as goldens:
        answer = session.read(session.infer(session.feed([goldens["input_0"][0].tobytes()])))
        reference = goldens["output_0"][0]
    found = np.frombuffer(answer[0], raw["outputs"][0]["dtype"]).reshape(reference.shape)
    limit = artifact.manifest.goldens.tolerance.relative * np.abs(reference).max()
    assert np.abs(found - reference).max() <= limit
    session.close()


@pytest.mark.parametrize("source", ["net.h5", "net_saved"])
def test_other_tensorflow_sources(models: Path, workers: Workers, source: str) -> None:
    manifest = compiled(models, workers, source, "tflite", "fp32").manifest
    assert manifest.source.format == {"net.h5": "h5", "net_saved": "savedmodel"}[source]
    assert manifest.parity.sqnr_db > 100


@pytest.mark.parametrize("target", ["tflite", "onnxruntime", "openvino"])
def test_several_inputs_and_outputs_keep_their_order(models: Path, workers: Workers, target: str) -> None:
    manifest = compiled(models, workers, "two.keras", target, "fp32").manifest
    assert [spec.shape for spec in manifest.inputs] == [(1, 4), (1, 6)]
    assert [spec.shape for spec in manifest.outputs] == [(1, 3), (1, 7)]


@pytest.mark.parametrize("target", ["onnxruntime", "tflite"])
def test_a_quantised_source_goes_through_as_it_is(
    models: Path, workers: Workers, target: str, tmp_path: Path
) -> None:
    made = compiled(models, workers, "net.keras", target, "int8")
    entry = made.manifest.entry
    source = tmp_path / entry
    source.write_bytes((made.folder / entry).read_bytes())
    artifact = compile_model(
        compile_request(source=source, target=target, default_precision="fp32"), workers=workers
    )
    assert artifact.manifest.precision == "as-is"
    assert (artifact.folder / entry).read_bytes() == source.read_bytes()
    with pytest.raises(ConversionError, match="quantised already") as caught:
        compile_model(compile_request(source=source, target=target, precision="fp16"))
    assert caught.value.hint.startswith("run it unchanged: --precision as-is; or start from")
    for precision in (None, "as-is", "fp32"):  # a target that cannot run the file names those that can
        with pytest.raises(ConversionError, match="quantised already") as caught:
            compile_model(compile_request(source=source, target="ncnn", precision=precision))
        named = caught.value.hint.partition("--precision as-is --target ")[2].partition("; or start from")[0]
        assert target in named and "ncnn" not in named


def test_the_opset_that_is_asked_for_is_the_one_in_the_file(models: Path, workers: Workers) -> None:
    manifest = compiled(models, workers, "net.keras", "onnxruntime", "fp32", opset=11).manifest
    assert manifest.requires["opset"] == 11


def test_dynamic_axes_are_asked_for(models: Path, workers: Workers) -> None:
    from edgewright.errors import ModelError

    with pytest.raises(ModelError) as caught:
        compiled(models, workers, "free.keras", "onnxruntime", "fp32")
    assert caught.value.hint == "give the sizes: --input-shape tokens=1,SIZE (such as tokens=1,20)"
    manifest = compiled(
        models, workers, "free.keras", "onnxruntime", "fp32", shapes={"tokens": (1, 9)}
    ).manifest
    assert manifest.inputs[0].shape == (1, 9)
    assert manifest.inputs[0].dtype == "int32"
    with pytest.raises(ModelError, match="no input token"):
        compiled(models, workers, "free.keras", "onnxruntime", "fp32", shapes={"token": (1, 9)})


def test_a_constant_model_proves_nothing(models: Path, workers: Workers) -> None:
    with pytest.raises(ConversionError, match="the same output for all 16 golden inputs"):
        compiled(models, workers, "constant.keras", "onnxruntime", "fp32")
    assert compiled(models, workers, "constant.keras", "onnxruntime", "fp32", allow_constant=True).id
