"""int8 of real converters: refused where a part of an output keeps too few levels, and only there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgewright import targets
from edgewright.compile.data import samples
from edgewright.compile.quality import levels
from edgewright.compile.sources import onnx_session
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion
from edgewright.precisions import PRECISIONS

Convert = Callable[..., Artifact]


@pytest.mark.parametrize(
    ("kind", "target", "named"),
    [("onnx", "onnxruntime", "scores in output y, 4 to 9 of axis 1, "), ("keras", "tflite", " in output pred, 4 to 9 of axis 2, ")],
)  # fmt: skip
def test_scores_beside_pixels_are_refused_and_named_where_the_answers_are_integers(
    convert: Convert, onnx_folder: Path, keras_folder: Path, kind: str, target: str, named: str
) -> None:
    source = {"onnx": onnx_folder / "head.onnx", "keras": keras_folder / "head.keras"}[kind]
    with pytest.raises(levels.Coarse) as refused:
        convert(source, target, conversion=Conversion(integer_io=True))
    assert refused.value.code == "levels"
    assert refused.value.parity.sqnr_db > 30  # over the whole output nothing is to be seen
    assert refused.value.message.startswith("fewer than 16 levels are left for ")
    assert f"{named}(range 1, steps of " in refused.value.message
    assert ";" not in refused.value.message  # the boxes have enough
    assert refused.value.hint.startswith("leave --integer-io out, ")


@pytest.mark.parametrize("target", ["onnxruntime", "tflite"])
def test_small_changes_of_a_large_number_are_refused(
    convert: Convert, keras_folder: Path, target: str
) -> None:
    with pytest.raises(
        levels.Coarse, match=r"levels are left for output hpa \(range .*, steps of [34]\.\d+\)"
    ):
        convert(keras_folder / "offset.keras", target)


@pytest.mark.parametrize(
    "target", ["onnxruntime", "tflite", pytest.param("openvino", marks=pytest.mark.slow), "tensorrt"]
)
@pytest.mark.parametrize("name", ["even", "classes"])
def test_parts_of_one_size_and_classes_pass(
    convert: Convert, keras_folder: Path, name: str, target: str
) -> None:
    assert convert(keras_folder / f"{name}.keras", target).manifest.precision == "int8"


@pytest.mark.parametrize("name", ["head", "offset"])
@pytest.mark.parametrize("target", [pytest.param("openvino", marks=pytest.mark.slow), "tensorrt"])
def test_what_keeps_its_end_in_floats_passes_and_is_right(
    convert: Convert, keras_folder: Path, workers: Workers, name: str, target: str
) -> None:
    artifact = convert(keras_folder / f"{name}.keras", target)
    manifest = artifact.manifest
    module = targets.module_name(targets.load(target).steps)
    path = artifact.folder / manifest.entry
    names = [spec.name for spec in manifest.outputs]
    assert workers.call(targets.load(target).framework, module, "tails", path=path, outputs=names) == [None]


def test_class_numbers_have_no_levels(onnx_folder: Path) -> None:
    from edgewright_targets._onnx import quantization_steps

    assert quantization_steps.tails(onnx_folder / "labels.onnx", ["y"]) == [None]


def test_other_precisions_are_not_asked(convert: Convert, onnx_folder: Path) -> None:
    for precision in ("fp32", "int8-dynamic"):
        assert convert(onnx_folder / "head.onnx", "onnxruntime", precision).manifest.notes == ()


def test_what_was_rounded_before_goes_through_with_a_note(
    convert: Convert, onnx_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(levels, "coarse", lambda *_: [])
        made = convert(
            onnx_folder / "head.onnx", "onnxruntime", use_cache=False, conversion=Conversion(integer_io=True)
        )
    source = tmp_path / "quantised.onnx"
    source.write_bytes((made.folder / made.manifest.entry).read_bytes())
    with np.load(onnx_folder / "images.npz") as images:
        np.savez(tmp_path / "images.npz", x=samples.quantised(images["x"], made.manifest.inputs[0]))
    (note,) = convert(source, "onnxruntime", "as-is").manifest.notes
    assert note.startswith("fewer than 16 levels are left for scores in output y, 4 to 9 of axis 1, ")


def test_a_file_that_cannot_be_walked_says_so(
    convert: Convert, onnx_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        targets,
        "module_name",
        lambda path: f"edgewright_targets.{path.replace('.quantization_steps', '.no_such')}",
    )
    (note,) = convert(onnx_folder / "even.onnx", "onnxruntime", use_cache=False).manifest.notes
    assert note.startswith("levels of the outputs were not checked: ")


def test_every_target_that_rounds_can_be_asked() -> None:
    for name in targets.names():
        calibrated = any(PRECISIONS[precision].calibrated for precision in targets.load(name).precisions)
        assert targets.load(name).steps or not calibrated, name


def test_the_models_are_what_they_are_called(onnx_folder: Path) -> None:
    session = onnx_session.session(onnx_folder / "head.onnx")
    with np.load(onnx_folder / "images.npz") as images:
        answers = np.stack([session.run(None, {"x": image[None]})[0] for image in images["x"]])
    assert np.ptp(answers[:, :, :4]) > 300
    assert 0.3 < np.ptp(answers[:, :, 4:]) <= 1
    assert onnx.load(str(onnx_folder / "labels.onnx")).graph.output[0].type.tensor_type.elem_type == 7
