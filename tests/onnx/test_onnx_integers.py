"""Integer inputs and outputs: the outer conversions are gone, the scales are in the manifest, the answers are the same."""

import numpy as np
import pytest

from edgewright.compile.sources import onnx_session
from edgewright.errors import ConversionError


def run(artifact, inputs):
    """The raw outputs for inputs by name."""
    session = onnx_session.session(artifact.folder / "model.onnx")
    return dict(zip([item.name for item in session.get_outputs()], session.run(None, inputs), strict=True))


@pytest.mark.parametrize(("precision", "dtype"), [("int8", "int8"), ("int16x8", "int16")])
def test_integers_go_in_and_come_out_and_mean_the_same(made, small_models, precision, dtype):
    source = small_models("onnx") / "two_in_two_out.onnx"
    floats, integers = (made(source, precision, integer_io=flag) for flag in (False, True))
    limits = np.iinfo(dtype)
    random = np.random.default_rng(5)
    for _ in range(8):
        given = {
            spec.name: random.normal(size=spec.shape).astype("float32") for spec in floats.manifest.inputs
        }
        whole = {
            spec.name: np.clip(
                np.rint(given[spec.name] / spec.scale) + spec.zero_point, limits.min, limits.max
            ).astype(dtype)
            for spec in integers.manifest.inputs
        }
        expected, raw = run(floats, given), run(integers, whole)
        for spec in integers.manifest.outputs:
            assert spec.dtype == raw[spec.name].dtype.name == dtype
            real = (raw[spec.name].astype("float32") - spec.zero_point) * np.float32(spec.scale)
            assert np.abs(real - expected[spec.name]).max() <= spec.scale * 1.01
    assert integers.manifest.parity.sqnr_db > 25
    assert [spec.name for spec in integers.manifest.inputs] == ["right", "left"]


def test_token_ids_stay_what_they_are(made, small_models):
    artifact = made(small_models("onnx") / "tokens.onnx", "int8", integer_io=True)
    (tokens,) = artifact.manifest.inputs
    assert (tokens.dtype, tokens.scale) == ("int64", None)
    assert artifact.manifest.outputs[0].dtype == "int8"


def test_an_input_that_a_float_layer_reads_cannot_be_an_integer(made, small_models):
    with pytest.raises(
        ConversionError, match="input cannot be an integer, it is used in floats: image"
    ) as caught:
        made(small_models("onnx") / "cnn.onnx", "int8-mixed", keep_float=("conv0",), integer_io=True)
    assert "--integer-io" in caught.value.hint


@pytest.mark.parametrize("last", ["Concat", "Relu", "Flatten"])
def test_an_output_that_is_a_concat_of_a_concat_can_be_an_integer(made, write, last):
    random = np.random.default_rng(3)
    weights = {f"w{at}": random.normal(size=(4, 3, 1, 1)).astype("float32") for at in range(3)}
    nodes = [("Conv", ["x", name], [f"c{name}"], {}) for name in weights]
    nodes += [
        ("Concat", ["cw0", "cw1"], ["inner"], {"axis": 1}),
        ("Concat", ["inner", "cw2"], ["y" if last == "Concat" else "outer"], {"axis": 1}),
    ]
    if last != "Concat":
        nodes.append((last, ["outer"], ["y"], {}))
    shape = (1, 432) if last == "Flatten" else (1, 12, 6, 6)
    source = write("concats.onnx", nodes, {"x": (1, 3, 6, 6)}, {"y": shape}, weights)
    manifest = made(source, "int8", integer_io=True).manifest
    assert {spec.dtype for spec in (*manifest.inputs, *manifest.outputs)} == {"int8"}
    assert manifest.parity.sqnr_db > 25


def test_an_input_that_a_normalisation_reads_can_be_an_integer(made, write):
    weights = {name: np.arange(1, 4, dtype="float32") for name in "sbmv"}
    weights["w"] = np.random.default_rng(3).normal(size=(4, 3, 3, 3)).astype("float32")
    nodes = [
        ("BatchNormalization", ["x", *"sbmv"], ["n"], {}),
        ("Relu", ["n"], ["r"], {}),
        ("Conv", ["r", "w"], ["y"], {}),
    ]
    source = write("norm.onnx", nodes, {"x": (1, 3, 6, 6)}, {"y": (1, 4, 4, 4)}, weights)
    manifest = made(source, "int8", integer_io=True).manifest
    assert {spec.dtype for spec in (*manifest.inputs, *manifest.outputs)} == {"int8"}
    assert manifest.parity.sqnr_db > 20
