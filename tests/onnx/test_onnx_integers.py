"""Integer inputs and outputs: the outer conversions are gone, the scales are in the manifest, the answers are the same."""

import numpy as np
import pytest

from edgewright.errors import ConversionError


def run(artifact, inputs):
    """The raw outputs for inputs by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(artifact.folder / "model.onnx"), providers=["CPUExecutionProvider"]
    )
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
