"""Sources, precisions, layers kept in floats and methods of calibration of the target `openvino`, for real."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from flat_requests import compile_request

from edgewright.compile.explain import names_to_keep
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError, UsageError
from edgewright.nouns.artifact import Artifact

pytestmark = pytest.mark.slow
Compiled = Callable[..., Artifact]
Models = Callable[[str], Path]
LEAST_DB = {"cnn": 35, "two_in_two_out": 30, "tokens": 33, "lstm": 35, "gru": 35, "attention": 30}


@pytest.mark.parametrize("model", list(LEAST_DB))
def test_int8_answers_nearly_like_floats(compiled: Compiled, small_models: Models, model: str) -> None:
    made = compiled(
        small_models("onnx") / f"{model}.onnx", "openvino", "int8", calibration="synthetic"
    ).manifest
    assert made.parity.sqnr_db >= LEAST_DB[model]
    assert made.calibration.method == "min-max"
    assert made.requires["ir"] == 11
    assert made.requires["ir_opset"] >= 1
    assert made.kept_float == (("GRUSequence",) if model == "gru" else ())


@pytest.mark.parametrize("model", ["cnn", "attention", "two_in_two_out"])
def test_an_ir_goes_through_and_is_quantised_once(
    compiled: Compiled, small_models: Models, model: str, tmp_path: Path
) -> None:
    source = small_models("ir") / f"{model}.xml"
    plain = compiled(source, "openvino", "fp32").manifest
    assert plain.parity.sqnr_db > 100
    assert plain.goldens.framework.startswith("openvino ")
    made = compiled(source, "openvino", "int8", calibration="synthetic")
    assert made.manifest.parity.sqnr_db >= LEAST_DB[model]
    for name in ("model.xml", "model.bin"):
        shutil.copy(made.folder / name, tmp_path / name)
    again = compiled(tmp_path / "model.xml", "openvino", None).manifest
    assert again.precision == "as-is"
    assert again.parity.sqnr_db > 100
    with pytest.raises(ConversionError, match="quantised already"):
        compiled(tmp_path / "model.xml", "openvino", "fp16")


def test_the_same_model_gives_the_same_artifact(compiled: Compiled, small_models: Models) -> None:
    for kind, file, precision in (
        ("onnx", "attention.onnx", "int8"),
        ("onnx", "gru.onnx", "int8"),
        ("onnx", "attention.onnx", "int4-weights"),
        ("ir", "cnn.xml", "int8"),
    ):
        more = {"calibration": "synthetic"} if precision == "int8" else {}
        source = small_models(kind) / file
        ids = {compiled(source, "openvino", precision, use_cache=False, **more).id for _ in range(2)}
        assert len(ids) == 1, (file, precision)


def test_layers_kept_in_floats_are_named_like_the_sources(compiled: Compiled, small_models: Models) -> None:
    source = small_models("onnx") / "cnn.onnx"
    given = {"calibration": "synthetic", "use_cache": False}
    whole = compiled(source, "openvino", "int8", **given).manifest
    for layer in ("conv0", "conv6", "gemm10"):  # the first one is folded with its normalisation
        mixed = compiled(source, "openvino", "int8-mixed", keep_float=(layer,), **given).manifest
        assert mixed.kept_float == (layer,)
        assert mixed.model_bytes != whole.model_bytes
    with pytest.raises(UsageError, match="no such layer to keep in floats: komv6") as caught:
        compiled(source, "openvino", "int8-mixed", keep_float=("komv6",), **given)
    assert "conv6" in caught.value.hint


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("keras", "cnn.keras"), ("keras", "two_in_two_out.keras"), ("keras", "cnn_saved"), ("keras", "cnn.tflite"),
        ("tf_keras", "cnn.h5"), ("frozen", "attention.pb"), ("torch", "cnn.pt2"), ("torch", "torch_models.py:cnn"),
        ("onnx", "cnn.onnx"), ("ir", "attention.xml"),
    ],
)  # fmt: skip
def test_every_layer_that_a_search_would_name_can_be_kept(
    compiled: Compiled, small_models: Models, workers: Workers, kind: str, file: str
) -> None:
    source = Path(f"{small_models(kind)}/{file}")
    request = compile_request(source=source, target="openvino", precision="fp32")
    names = names_to_keep(request, compiled(source, "openvino", "fp32"), workers)
    assert len(names) == len(set(names)) > 2
    for kept in (names[0], names[-1]):
        mixed = compiled(source, "openvino", "int8-mixed", calibration="synthetic", keep_float=(kept,))
        assert mixed.manifest.kept_float == (kept,)
    given = {"calibration": "synthetic", "keep_float": names[1:]}
    assert compiled(source, "openvino", "int8-mixed", **given).manifest.kept_float == tuple(sorted(names[1:]))


@pytest.mark.parametrize("layer", ["conv0", "conv6", "gemm10"])
def test_a_layer_in_floats_does_not_make_the_others_worse(
    compiled: Compiled, small_models: Models, layer: str
) -> None:
    source, given = small_models("onnx") / "cnn.onnx", {"calibration": "synthetic"}
    whole = compiled(source, "openvino", "int8", **given).manifest
    mixed = compiled(source, "openvino", "int8-mixed", keep_float=(layer,), **given).manifest
    assert mixed.parity.sqnr_db > whole.parity.sqnr_db - 1.5


def test_calibration_methods_it_has_and_has_not(compiled: Compiled, small_models: Models) -> None:
    source = small_models("onnx") / "cnn.onnx"
    plain = compiled(source, "openvino", "int8", calibration="synthetic")
    other = compiled(source, "openvino", "int8", calibration="synthetic", calibration_method="percentile")
    assert other.manifest.calibration.method == "percentile 99.99"
    assert other.id != plain.id
    with pytest.raises(UsageError, match="not available on openvino: entropy"):
        compiled(source, "openvino", "int8", calibration="synthetic", calibration_method="entropy")


@pytest.mark.parametrize(
    ("model", "precision", "least_db", "share"),
    [
        ("attention", "int8-weights", 35, 0.8),
        ("attention", "int4-weights", 15, 0.8),
        ("cnn", "int8-weights", 35, 1.0),
    ],
)
def test_weights_alone_are_made_smaller(
    compiled: Compiled, small_models: Models, model: str, precision: str, least_db: float, share: float
) -> None:
    source = small_models("onnx") / f"{model}.onnx"
    made, whole = compiled(source, "openvino", precision), compiled(source, "openvino", "fp32")
    assert made.manifest.parity.sqnr_db > least_db
    assert (made.folder / "model.bin").stat().st_size < share * (whole.folder / "model.bin").stat().st_size
    assert b"DYNAMIC_QUANTIZATION_GROUP_SIZE" in (made.folder / "model.xml").read_bytes()


def test_four_bits_are_refused_where_nothing_would_get_them(compiled: Compiled, small_models: Models) -> None:
    with pytest.raises(ConversionError, match="no weights that can be made int4-weights"):
        compiled(small_models("onnx") / "lstm.onnx", "openvino", "int4-weights")


def test_integer_ends_are_refused(compiled: Compiled, small_models: Models) -> None:
    with pytest.raises(UsageError, match="integer inputs and outputs are not available on openvino"):
        compiled(
            small_models("onnx") / "cnn.onnx", "openvino", "int8", calibration="synthetic", integer_io=True
        )


def test_pytorch_goes_without_onnx_and_names_its_modules(compiled: Compiled, small_models: Models) -> None:
    folder = small_models("torch")
    for model in ("attention", "lstm", "two_in_two_out"):
        made = compiled(folder / f"{model}.pt2", "openvino", "fp32").manifest
        assert made.parity.sqnr_db > 100
        assert made.route == ("torch:openvino.from_torch", "openvino:openvino.finish")
    source = Path(f"{folder / 'torch_models.py'}:cnn")
    mixed = compiled(source, "openvino", "int8-mixed", calibration="synthetic", keep_float=("last",)).manifest
    assert mixed.kept_float == ("last",)
    assert mixed.parity.sqnr_db > 25
