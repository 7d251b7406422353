"""PyTorch, TensorFlow's frozen graphs and LiteRT files to ONNX: real exporters, opsets as they were really written."""

import numpy as np
import pytest

from edgewright.errors import ConversionError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OPSETS = {"cnn": 13, "tokens": 13, "two_in_two_out": 13, "lstm": 13, "gru": 13, "attention": 14}


@pytest.mark.parametrize("name", OPSETS)
def test_a_module_is_exported_at_the_lowest_opset_that_has_its_operators(
    made, small_models, answers_of, name
):
    source = small_models("torch") / f"torch_models.py:{name}"
    artifact = made(source, "fp32")
    assert artifact.manifest.requires["opset"] == OPSETS[name]
    assert artifact.manifest.parity.sqnr_db > 100
    assert artifact.manifest.route == ("torch:_onnx.from_torch", "onnx:onnxruntime.finish")
    for output in answers_of(artifact):
        assert np.abs(output - output[0]).max() > 0.01 * np.abs(output).max()


@pytest.mark.parametrize("name", ["cnn", "attention"])
def test_an_exported_program_is_exported_too(made, small_models, name):
    artifact = made(small_models("torch") / f"{name}.pt2", "fp32", max_opset=17)
    assert artifact.manifest.requires["opset"] == OPSETS[name]
    assert artifact.manifest.parity.sqnr_db > 100


def test_what_no_old_opset_has_goes_by_the_other_exporter_or_is_refused(made, tmp_path):
    (tmp_path / "new.py").write_text(
        "import torch\n\n\nclass Complex(torch.nn.Module):\n    def forward(self, x):\n"
        "        return torch.fft.rfft(x).abs()\n\n\n"
        "def net():\n    return Complex(), (torch.ones(1, 16),)\n"
    )
    source = f"{tmp_path}/new.py:net"
    from pathlib import Path

    assert made(Path(source), "fp32").manifest.requires["opset"] == 18
    with pytest.raises(ConversionError, match=r"opset 13, 14, 17: .*, at new\.py:6$") as caught:
        made(Path(source), "fp32", max_opset=17)
    assert caught.value.code == "opset-too-new"
    assert "reads opset 17 at most" in caught.value.hint


def test_layers_of_a_module_are_kept_in_floats_by_their_names(made, small_models):
    artifact = made(
        small_models("torch") / "torch_models.py:cnn", "int8-mixed", keep_float=("depthwise", "last")
    )
    assert artifact.manifest.kept_float == ("depthwise", "last")
    assert artifact.manifest.parity.sqnr_db > 25


@pytest.mark.parametrize("precision", ["int16x8", "int8-weights", "int4-weights"])
def test_precisions_of_a_module(made, small_models, precision):
    assert made(small_models("torch") / "torch_models.py:attention", precision).manifest.parity.sqnr_db > 15


@pytest.mark.parametrize("name", ["cnn", "lstm", "tokens", "attention"])
def test_a_litert_file_becomes_onnx(made, small_models, answers_of, name):
    artifact = made(small_models("keras") / f"{name}.tflite", "fp32")
    assert artifact.manifest.parity.sqnr_db > 100
    assert artifact.manifest.requires == {"opset": 13, "ir": 7}
    assert artifact.manifest.route == ("tensorflow:_onnx.from_tflite", "onnx:onnxruntime.finish")
    (output,) = answers_of(artifact)
    assert np.abs(output - output[0]).max() > 0.01 * np.abs(output).max()


def test_a_litert_file_is_quantised_as_onnx(made, small_models):
    assert made(small_models("keras") / "cnn.tflite", "int8").manifest.parity.sqnr_db > 25


def test_a_quantised_litert_file_stays_so(workers, made, small_models, tmp_path):
    import shutil

    from flat_requests import compile_request

    from edgewright.compile.pipeline import compile_model

    request = compile_request(
        source=small_models("keras") / "cnn.keras", target="tflite", precision="int8", calibration="synthetic"
    )
    quantised = compile_model(request, workers=workers)
    source = shutil.copy(quantised.folder / "model.tflite", tmp_path / "int8.tflite")
    artifact = made(source)
    assert artifact.manifest.precision == "as-is"
    assert artifact.manifest.parity.sqnr_db > 25
    with pytest.raises(ConversionError, match="quantised already"):
        made(source, "int8")


@pytest.mark.parametrize("name", ["cnn", "attention"])
def test_a_frozen_graph_becomes_onnx(made, small_models, name):
    artifact = made(small_models("frozen") / f"{name}.pb", "fp32")
    assert artifact.manifest.parity.sqnr_db > 100
    assert artifact.manifest.requires == {"opset": 13, "ir": 7}


def test_an_openvino_file_cannot_become_onnx(made, small_models):
    with pytest.raises(ConversionError, match=r"no way from .* to onnxruntime") as caught:
        made(small_models("ir") / "cnn.xml", "fp32")
    assert caught.value.code == "no-edge"
