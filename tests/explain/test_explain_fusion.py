"""Convolution, batch normalisation and activation become one, in the shipped file or in what the runtime executes."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import result_of
from flat_requests import compile_request

from edgewright.cli.main import main
from edgewright.compile.explain import Explanation, explain, names_to_keep
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.conversion import Conversion

TARGETS = ("onnxruntime", "openvino", "tflite")


def explained(workers: Workers, source: Path, target: str, precision: str, **more: object) -> Explanation:
    request = compile_request(source=source, target=target, precision=precision, **more)  # type: ignore[arg-type]
    return explain(request, compile_model(request, workers=workers), workers)


def everything_is_folded(found: Explanation, chains: int) -> None:
    """Nothing that follows a layer is left to compute by itself."""
    source = {item.kind: item.source for item in found.elements}
    assert source == {"batch normalisation": chains, "activation": chains}
    for item in found.elements:
        assert (item.file if item.runtime is None else item.runtime) == 0, item
    executed = found.file if found.runtime is None else found.runtime
    assert not {"BatchNormalization", "FusedBatchNormV3", "BatchNormInference", "Relu", "RELU", "Clip", "Clamp"} & set(executed)  # fmt: skip


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("target", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.slow)])
def test_onnx_is_folded(onnx_net: Path, workers: Workers, target: str, precision: str) -> None:
    calibration = "synthetic" if precision == "int8" else None
    found = explained(workers, onnx_net, target, precision, calibration=calibration)
    everything_is_folded(found, 2)
    assert {group.pattern: group.count for group in found.chains} == {
        ("Conv", "BatchNormalization", "Relu"): 2,
        ("Gemm",): 1,
    }
    assert {layer.arithmetic for layer in found.layers} == {precision}
    assert len(found.layers) == 3


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("target", TARGETS)
def test_keras_is_folded(keras_net: Path, workers: Workers, target: str, precision: str) -> None:
    calibration = "synthetic" if precision == "int8" else None
    found = explained(workers, keras_net, target, precision, calibration=calibration)
    everything_is_folded(found, 3)
    assert {group.pattern: group.count for group in found.chains} == {
        ("Conv2D", "Mul", "Relu"): 2,  # Keras writes a normalisation as a product and a sum
        ("DepthwiseConv2dNative", "Mul", "Relu6"): 1,
        ("MatMul",): 1,
    }
    assert len(found.layers) == 4
    assert {layer.arithmetic for layer in found.layers} == {precision}


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_torch_is_folded(torch_net: Path, workers: Workers, target: str) -> None:
    everything_is_folded(explained(workers, torch_net, target, "fp32"), 2)


def test_unfused_is_seen_as_such(onnx_net: Path, workers: Workers) -> None:
    found = explained(workers, onnx_net, "onnxruntime", "fp32")
    assert {item.kind: item.file for item in found.elements} == {"batch normalisation": 2, "activation": 2}
    assert [(group.pattern, group.count) for group in found.fused] == [(("Conv", "Relu"), 2)]
    assert found.route == ("onnx:_onnx.from_onnx", "onnx:onnxruntime.finish")


def test_layers_that_stay_in_floats_are_told(onnx_net: Path, workers: Workers) -> None:
    conversion = Conversion(keep_float=("conv1",))
    found = explained(
        workers, onnx_net, "onnxruntime", "int8-mixed", calibration="synthetic", conversion=conversion
    )
    assert {layer.name: layer.arithmetic for layer in found.layers} == {
        "conv0": "int8",
        "conv1": "fp32",
        "dense": "int8",
    }
    assert found.kept_float == ("conv1",)


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("target", TARGETS)
def test_every_layer_can_be_kept_in_floats_by_its_name(
    keras_net: Path, workers: Workers, target: str
) -> None:
    plain = compile_request(source=keras_net, target=target, precision="fp32")
    names = names_to_keep(plain, compile_model(plain, workers=workers), workers)
    assert len(names) == 4
    kept = set()
    for name in names:
        conversion = Conversion(keep_float=(name,))
        found = explained(
            workers, keras_net, target, "int8-mixed", calibration="synthetic", conversion=conversion
        )
        numbers = [item.arithmetic for item in found.layers]
        assert numbers.count("fp32") == 1
        kept.add(numbers.index("fp32"))
    assert kept == {0, 1, 2, 3}


def test_the_command_prints_it(onnx_net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["convert", str(onnx_net), "--target", "onnxruntime", "--precision", "fp32", "--explain"]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "Conv + BatchNormalization + Relu" in shown
    assert "route: onnx:_onnx.from_onnx > onnx:onnxruntime.finish" in shown
    assert main([*arguments, "--json"]) == 0
    said = result_of(capsys.readouterr().out)["explanation"]
    assert said["elements"][0] == {"kind": "batch normalisation", "source": 2, "file": 2, "runtime": 0}
    assert said["source"]["Conv"] == 2
