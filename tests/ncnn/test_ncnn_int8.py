"""8-bit integers: the format of the file, what is measured for it, and what is refused. The real ncnn computes all outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from right_outputs import outputs_of

from edgewright.errors import ConversionError, EdgewrightError
from edgewright.nouns.artifact import Artifact
from edgewright_targets.ncnn import (
    activation_ranges,
    bin_file,
    explain,
    param_file,
    quantization_steps,
    quantize,
    runner,
)
from edgewright_targets.ncnn.param_file import Layer

Compiled = Callable[..., Artifact]
Models = Callable[[str], Path]
Net = Callable[..., Any]


@pytest.mark.parametrize("method", ["minmax", "percentile"])
@pytest.mark.parametrize("model", ["cnn", "two_in_two_out", "tokens", "attention"])
def test_a_small_model_in_8_bits(compiled: Compiled, small_models: Models, model: str, method: str) -> None:
    made = compiled(
        small_models("onnx") / f"{model}.onnx", "int8", calibration="synthetic", conversion=method_of(method)
    )
    manifest = made.manifest
    assert manifest.calibration.method == activation_ranges.METHODS[method]
    assert manifest.requires == {"release": 20250503}
    assert manifest.parity.sqnr_db > 25
    rows = [row for row in explain.shipped(made.folder / manifest.entry) if row["arithmetic"]]
    floats = {row["operator"] for row in rows if row["arithmetic"] == "fp32"}
    assert floats <= {"Embed", "Gemm", "MultiHeadAttention"} and len(rows) > len(floats)
    exact = compiled(small_models("onnx") / f"{model}.onnx")
    assert size(made) < size(exact)


def test_layers_that_are_named_stay_in_floats(compiled: Compiled, small_models: Models) -> None:
    source = small_models("onnx") / "cnn.onnx"
    names = [
        row["name"] for row in explain.shipped(compiled(source).folder / "model.param") if row["arithmetic"]
    ]
    kept = names[0]
    made = compiled(source, "int8-mixed", calibration="synthetic", conversion=keeping(kept))
    rows = {
        row["name"]: row["arithmetic"]
        for row in explain.shipped(made.folder / "model.param")
        if row["arithmetic"]
    }
    assert rows == {name: "fp32" if name == kept else "int8" for name in names}
    assert made.manifest.kept_float == (kept,)
    plain = compiled(source, "int8", calibration="synthetic")
    assert made.manifest.parity.sqnr_db > plain.manifest.parity.sqnr_db


def test_an_unknown_layer_and_nothing_left_are_refused(compiled: Compiled, small_models: Models) -> None:
    source = small_models("onnx") / "cnn.onnx"
    names = [
        row["name"] for row in explain.shipped(compiled(source).folder / "model.param") if row["arithmetic"]
    ]
    with pytest.raises(EdgewrightError, match="no such layer to keep in floats: nothing") as caught:
        compiled(source, "int8-mixed", calibration="synthetic", conversion=keeping("nothing"))
    assert names[0] in caught.value.hint
    with pytest.raises(ConversionError, match="nothing to quantise"):
        compiled(source, "int8-mixed", calibration="synthetic", conversion=keeping(*names))


def test_it_needs_samples(compiled: Compiled, small_models: Models) -> None:
    with pytest.raises(EdgewrightError) as caught:
        compiled(small_models("onnx") / "cnn.onnx", "int8")
    assert "calibration" in caught.value.message + caught.value.hint


def test_outputs_of_8_bit_layers_are_not_rounded(compiled: Compiled, graph: Any) -> None:
    """`quantization_steps` says so: an output in 8 bits would have 255 values at most."""
    random = np.random.default_rng(8)
    source = graph(
        [("Conv", ["x", "kernel"], ["y"], {})], [("x", 1, [1, 4, 32, 32])], [("y", 1, None)],
        {"kernel": random.normal(size=(2, 4, 3, 3)).astype(np.float32)},
    )  # fmt: skip
    made = compiled(source, "int8", calibration="synthetic")
    (found,) = outputs_of(made, [random.normal(size=(1, 4, 32, 32)).astype(np.float32)])
    assert len(np.unique(found)) > 1000
    assert quantization_steps.tails(made.folder / "model.param", ["out0"]) == [None]


def method_of(method: str) -> Any:
    from edgewright.nouns.conversion import Conversion

    return Conversion(calibration_method=method)


def keeping(*names: str) -> Any:
    from edgewright.nouns.conversion import Conversion

    return Conversion(keep_float=names)


def size(artifact: Artifact) -> int:
    return (artifact.folder / "model.bin").stat().st_size


@pytest.fixture
def net(tmp_path: Path) -> Net:
    """`net(layers, data, precision)`: the loaded model with the runner's options; `run(input)` computes `out0`."""
    import ncnn

    def load(layers: list[Layer], data: bytes, precision: str) -> Callable[[Any], Any]:
        param_file.write(layers, tmp_path / "m.param")
        (tmp_path / "m.bin").write_bytes(data)
        loaded = ncnn.Net()
        runner.set_arithmetic(loaded.opt, precision)
        assert not loaded.load_param(str(tmp_path / "m.param")) and not loaded.load_model(
            str(tmp_path / "m.bin")
        )

        def run(values: Any) -> Any:
            extractor = loaded.create_extractor()
            extractor.input("in0", ncnn.Mat(values).clone())
            status, found = extractor.extract("out0")
            assert not status
            return np.array(found)

        return run

    return load


def samples_of(*arrays: Any) -> Any:
    return lambda *_: iter([[one] for one in arrays])


GROUPS = Layer("ConvolutionDepthWise", "c", ("in0",), ("out0",), ("0=8", "1=3", "4=1", "5=1", "6=72", "7=8"))
PLANES = Layer("Convolution", "c", ("in0",), ("out0",), ("0=5", "1=1", "5=1", "6=40"))
DENSE = Layer("InnerProduct", "c", ("in0",), ("out0",), ("0=7", "1=1", "2=1008"))


@pytest.mark.parametrize("layer", [GROUPS, PLANES, DENSE], ids=lambda one: one.kind)
def test_every_kind_of_layer_keeps_its_channels_apart(net: Net, tmp_path: Path, layer: Layer) -> None:
    """Channels whose weights differ by a factor of 1000 come out equally well."""
    random = np.random.default_rng(5)
    (weights, biases) = bin_file.arrays(layer)
    rows = int(layer.setting("7") or layer.setting("0"))
    factors = np.float32(10.0) ** np.linspace(-3, 0, rows, dtype=np.float32)
    values = random.normal(size=(rows, weights.length // rows)).astype(np.float32) * factors[:, None]
    spread = np.repeat(factors, biases.length // rows)
    data = (
        bin_file.FLOATS
        + values.tobytes()
        + (random.normal(size=biases.length).astype(np.float32) * spread).tobytes()
    )
    layers = [Layer("Input", "in0", (), ("in0",), ("0=6", "1=3", "2=8")), layer]
    exact = net(layers, data, "fp32")
    given = [random.normal(size=(8, 3, 6)).astype(np.float32) for _ in range(4)]
    work: Any = SimpleNamespace(samples=samples_of(*given), keep_float=(), calibration_method="minmax")
    param_file.write(layers, tmp_path / "m.param")
    made, packed, _ = quantize.quantised(tmp_path / "m.param", layers, work)
    assert len(packed) < len(data) + 100
    coarse = net(made, packed, "int8")
    wanted, found = (
        np.concatenate([run(one).reshape(biases.length, -1) for one in given], axis=1)
        for run in (exact, coarse)
    )
    error = np.abs(found - wanted).max(axis=1) / np.abs(wanted).max(axis=1)
    assert 0 < error.max() < 0.04, error


def test_layers_that_ncnn_computes_wrongly_in_8_bits_stay_in_floats(
    compiled: Compiled, graph: Any, tmp_path: Path
) -> None:
    random = np.random.default_rng(7)
    source = graph(
        [
            ("Conv", ["x", "first"], ["a"], {"name": "first"}),
            ("Conv", ["a", "grouped"], ["b"], {"group": 2, "name": "grouped"}),
            ("Pad", ["b", "widths", "value"], ["c"], {}),
            ("Conv", ["c", "last"], ["y"], {"name": "last"}),
        ],
        [("x", 1, [1, 4, 12, 12])], [("y", 1, None)],
        {
            "first": random.normal(size=(8, 4, 3, 3)).astype(np.float32), "grouped": random.normal(size=(16, 4, 3, 3)).astype(np.float32),
            "last": random.normal(size=(4, 16, 3, 3)).astype(np.float32), "widths": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "value": np.float32(90),
        },
    )  # fmt: skip
    np.savez(tmp_path / "data.npz", x=random.normal(size=(32, 4, 12, 12)).astype(np.float32))
    made = compiled(source, "int8", calibration=tmp_path / "data.npz")
    rows = [row for row in explain.shipped(made.folder / "model.param") if row["arithmetic"]]
    assert [row["arithmetic"] for row in rows] == ["int8", "fp32", "fp32"]
    assert made.manifest.parity.sqnr_db > 30


def test_a_layer_that_never_sees_anything_but_zeros_gives_its_bias(net: Net, tmp_path: Path) -> None:
    data = bin_file.FLOATS + np.zeros(40, np.float32).tobytes() + np.arange(5, dtype=np.float32).tobytes()
    layers = [Layer("Input", "in0", (), ("in0",), ("0=6", "1=3", "2=8")), PLANES]
    net(layers, data, "fp32")
    work: Any = SimpleNamespace(
        samples=samples_of(np.zeros((8, 3, 6), np.float32)), keep_float=(), calibration_method="minmax"
    )
    made, packed, _ = quantize.quantised(tmp_path / "m.param", layers, work)
    assert (net(made, packed, "int8")(np.ones((8, 3, 6), np.float32))[:, 0, 0] == np.arange(5)).all()


def test_sums_of_many_large_weights_are_right(net: Net, tmp_path: Path) -> None:
    """ncnn's fastest convolution of integers is for weights of 6 bits: here it would be wrong by more than the greatest output."""
    random = np.random.default_rng(0)
    weights = (np.abs(random.normal(size=(16, 256 * 9))) + 3).astype(np.float32)
    layer = Layer("Convolution", "c", ("in0",), ("out0",), ("0=16", "1=3", "4=1", "5=1", f"6={weights.size}"))
    layers = [Layer("Input", "in0", (), ("in0",), ("0=24", "1=24", "2=256")), layer]
    data = bin_file.FLOATS + weights.tobytes() + np.zeros(16, np.float32).tobytes()
    given = (np.abs(random.normal(size=(256, 24, 24))) + 3).astype(np.float32)
    wanted = net(layers, data, "fp32")(given)
    work: Any = SimpleNamespace(samples=samples_of(given), keep_float=(), calibration_method="minmax")
    made, packed, _ = quantize.quantised(tmp_path / "m.param", layers, work)
    error = {
        name: np.abs(net(made, packed, name)(given) - wanted).max() / np.abs(wanted).max()
        for name in ("int8", "fp32")
    }
    assert error["int8"] < 0.01
    assert error["fp32"] > 0.5, "the option that the runner switches off no longer matters"


def test_a_percentile_leaves_single_values_out(net: Net, tmp_path: Path) -> None:
    layers = [Layer("Input", "in0", (), ("in0",), ("0=100000",)), Layer("ReLU", "r", ("in0",), ("out0",))]
    net(layers, b"", "fp32")
    values = np.linspace(-1, 1, 100000, dtype=np.float32)
    values[7:10] = 50, np.inf, np.nan
    found = {
        method: activation_ranges.ranges(
            tmp_path / "m.param", layers, ["in0", "out0"], samples_of(values), method
        )
        for method in activation_ranges.METHODS
    }
    assert found["minmax"] == {"in0": 50, "out0": 50}
    assert all(1 <= value < 1.1 for value in found["percentile"].values())


def test_weights_that_cannot_be_found_are_refused_by_name() -> None:
    layers = [PLANES, Layer("ReLU", "r", ("out0",), ("a",)), Layer("Unheard", "u", ("a",), ("b",))]
    data = bin_file.FLOATS + bytes(160) + bytes(20)
    assert [len(one) for one in bin_file.split(layers, data)["c"]] == [160, 20]
    for wrong in (data + bytes(8), data[:-4], b"\1" + data[1:]):
        with pytest.raises(ConversionError, match="one of these has some: ReLU, Unheard"):
            bin_file.split(layers, wrong)


@pytest.mark.parametrize("model", ["cnn", "two_in_two_out", "tokens", "attention"])
def test_the_arrays_of_each_layer_are_found(compiled: Compiled, small_models: Models, model: str) -> None:
    folder = compiled(small_models("onnx") / f"{model}.onnx").folder
    layers, data = param_file.read(folder / "model.param"), (folder / "model.bin").read_bytes()
    found = bin_file.split(layers, data)
    tags = sum(array.tagged for layer in layers for array in bin_file.arrays(layer))
    assert sum(len(one) for arrays in found.values() for one in arrays) + 4 * tags == len(data)
