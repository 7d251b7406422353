"""Cases that people reported, on each target: right on inputs that no conversion has seen, or refused with the cause named.

Their scripts lie beside the project, in `../shared/cases`: where they do not, these tests are skipped, which CI takes for a
failure. What is right for each stands there in README.md.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import natively
import numpy as np
import pytest
import reported_cases
from flat_requests import compile_request
from reported_cases import INPUTS, SCRIPTS, Rows

from edgewright.compile.pipeline import compile_model
from edgewright.compile.quality.verdict.decibels import sqnr_db
from edgewright.compile.workers.pool import Workers
from edgewright.errors import EdgewrightError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion, Ends

TARGETS = ("onnxruntime", "openvino", "tflite")
ONNX, OPENVINO, TFLITE = TARGETS
FLOATS = 100  # dB
pytestmark = [
    pytest.mark.slow,
    pytest.mark.sampled(7),
    pytest.mark.skipif(not SCRIPTS.is_dir(), reason=f"the reported cases are not in {SCRIPTS}"),
]


class Right(NamedTuple):
    """What must come of a case.

    Attributes:
        least: dB of SQNR of each output on fresh inputs; for class numbers, the share that is equal.
        columns: length of the output's last or second axis whose parts have to follow by `follows` dB about their mean.
        data: the case's own file of calibration data, `drawn`, `synthetic` or "".
    """

    case: str
    precision: str
    least: float
    targets: tuple[str, ...] = TARGETS
    columns: int = 0
    follows: float = 0
    data: str = "drawn"
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    max_opset: int | None = None


RIGHT = (
    Right("detection_head.onnx", "int8", 40, columns=14, follows=20, data="detection_head_onnx_calibration.npz"),
    Right("detection_head.keras", "int8", 40, columns=12, follows=15, data="detection_head_keras_calibration.npz"),
    Right("pressure.keras", "int8", 80, (OPENVINO,), columns=1, follows=20, data="pressure_calibration.npz"),
    Right("token_types.onnx", "fp32", FLOATS, data=""),
    Right("token_types.onnx", "int8", 20, data="synthetic"),
    Right("int64_time.onnx", "fp32", FLOATS, (ONNX,), data=""),
    Right("int64_time.onnx", "int8", 25, (ONNX,)),
    Right("attention_lowest_float.onnx", "int8", 20),
    Right("attention_minus_10000.onnx", "int8", 20),
    Right("class_map.onnx", "int8", 0.98, data="class_map_calibration.npz"),
    Right("half_precision.onnx", "fp16", 55, data=""),
    Right("half_precision.onnx", "int8", 35),
    Right("mixed_half.keras", "fp16", 55, data=""),
    Right("mixed_half.keras", "int8", 35),
    Right("ml_operators_only.onnx", "fp32", FLOATS, (ONNX,), data="", max_opset=15),
    Right("opset_named_twice.onnx", "int8", 25),
    Right("opset_named_twice.onnx", "fp32", FLOATS, (ONNX,), data="", max_opset=15),
    Right("local_function.onnx", "int8", 20),
    Right("local_function.onnx", "fp32", FLOATS, (ONNX,), data="", max_opset=15),
    Right("time_first.onnx", "int8", 25, shapes=(("x", (20, 1, 8)),)),
    Right("three.keras", "int8", 15, data="three_calibration.npz"),
)  # fmt: skip


class Refused(NamedTuple):
    """What is refused: the words of the message and of the hint."""

    case: str
    message: str
    hint: str
    targets: tuple[str, ...] = TARGETS
    precision: str = "fp32"
    data: str = ""


NARROW = (OPENVINO, TFLITE)
REFUSED = (
    Refused("pressure.keras", "fewer than 16 levels are left for output hpa", "--fallback", (ONNX, TFLITE), "int8", "pressure_calibration.npz"),
    Refused("int64_time.onnx", "whole numbers in 32 bits: input time_ms", "--target onnxruntime", NARROW),
    Refused("int64_time.onnx", "in 32 bits", "--target onnxruntime", NARROW, "fp32", "drawn"),
    Refused("detections_that_vary.onnx", "output selected of .* changes its shape", "without NonMaxSuppression"),
    Refused("sequence_output.onnx", "output parts of .* is a sequence of tensors", "separate output"),
    Refused("ml_operators_only.onnx", "does not have: ai.onnx.ml.Scaler", "take --target onnxruntime", NARROW),
    Refused("time_first.onnx", r"open axes: x \(sequence, 1, 8\)", "such as x=20,1,8"),
    Refused("stateful.keras", "keeps state between calls: layer lstm", "an input and an output of the model"),
    Refused("not_a_number.keras", "is not finite in the source", "weights are not a number: dense"),
    Refused("three_no_default_signature", "2 signatures and no serving_default", "--signature detect"),
)  # fmt: skip


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all cases, drawn calibration data, and Keras's own answers to fresh inputs."""
    folder = tmp_path_factory.mktemp("cases")
    for program in (SCRIPTS / "onnx_cases.py", Path(reported_cases.__file__)):
        command = [sys.executable, "-W", "ignore", str(program), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    for case in INPUTS:
        rows = reported_cases.drawn(case, seed=1, count=64)
        whole = case == "time_first.onnx"  # its first axis is no batch
        stacked = {name: np.stack([row[name] if whole else row[name][0] for row in rows]) for name in rows[0]}
        np.savez(folder / f"drawn_{case}.npz", **stacked)
    return folder


@pytest.fixture(scope="module")
def convert(cases: Path, onnx2tf: None, workers: Workers) -> Callable[..., Artifact]:
    """`convert(case, target, precision, data, **more)`: the artifact."""

    def made(case: str, target: str, precision: str, data: str, **more: Any) -> Artifact:
        file = f"drawn_{case}.npz" if data == "drawn" else data
        given = cases / file if file.endswith(".npz") else (file or None)
        request = compile_request(
            source=cases / case, target=target, precision=precision, calibration=given, **more
        )
        return compile_model(request, workers=workers)

    return made


def answers(cases: Path, case: str) -> tuple[Rows, Rows]:
    """Fresh inputs, and the source's outputs for them."""
    fresh = reported_cases.drawn(case, seed=5)
    if case.endswith(".onnx"):
        return fresh, reported_cases.by_onnx(cases / case, fresh)
    with np.load(cases / f"answers_{Path(case).stem}.npz") as kept:
        return fresh, [{name: kept[name][at] for name in kept.files} for at in range(len(fresh))]


def stacked(rows: Rows, name: str) -> Any:
    return np.stack([row[name] for row in rows]).astype(np.float64)


@pytest.mark.parametrize(
    ("right", "target"),
    [
        pytest.param(one, target, id=f"{one.case}-{target}-{one.precision}-{one.data}-{one.max_opset}")
        for one in RIGHT
        for target in one.targets
    ],
)
def test_a_case_answers_as_its_source(
    cases: Path, convert: Callable[..., Artifact], right: Right, target: str
) -> None:
    more = {"shapes": dict(right.shapes), "max_opset": right.max_opset}
    artifact = convert(right.case, target, right.precision, right.data, **more)
    fresh, wanted = answers(cases, right.case)
    specs = artifact.manifest.inputs
    assert [spec.name for spec in specs] == [one.name for one in INPUTS[right.case]]
    assert [spec.name for spec in artifact.manifest.outputs] == list(wanted[0])
    found = [
        natively.answers(artifact, {spec.name: row[spec.name].astype(spec.dtype) for spec in specs}) for row in fresh
    ]  # fmt: skip
    for spec in artifact.manifest.outputs:
        source, output = stacked(wanted, spec.name), stacked(found, spec.name)
        if spec.dtype.startswith("int"):
            assert np.mean(source == output) >= min(right.least, 1.0)
            continue
        assert sqnr_db(source, output) >= right.least
        if right.columns:
            axis = next(at for at in range(source.ndim - 1, 0, -1) if source.shape[at] == right.columns)
            for one, other in zip(np.moveaxis(source, axis, 0), np.moveaxis(output, axis, 0), strict=True):
                assert sqnr_db(one - one.mean(), other - one.mean()) >= right.follows


@pytest.mark.parametrize(
    ("refused", "target"),
    [
        pytest.param(one, target, id=f"{one.case}-{target}-{one.precision}-{one.data}")
        for one in REFUSED
        for target in one.targets
    ],
)
def test_a_case_is_refused_with_its_cause(
    convert: Callable[..., Artifact], refused: Refused, target: str
) -> None:
    with pytest.raises(EdgewrightError, match=refused.message) as raised:
        convert(refused.case, target, refused.precision, refused.data)
    assert refused.hint in raised.value.hint
    assert "\n" not in f"{raised.value.message}{raised.value.hint}"


@pytest.mark.parametrize("target", TARGETS)
def test_members_of_calibration_data_go_by_name(convert: Callable[..., Artifact], target: str) -> None:
    ways = (
        convert("three.keras", target, "int8", f"three_calibration{order}.npz")
        for order in ("", "_other_order")
    )
    one, other = (
        [file for file in artifact.manifest.files if "golden" not in file.path] for artifact in ways
    )
    assert one == other


@pytest.mark.parametrize("target", TARGETS)
def test_a_signature_is_chosen_and_keeps_its_names(convert: Callable[..., Artifact], target: str) -> None:
    for signature, inputs in (("detect", ["alpha", "mid", "zeta"]), ("twice", ["zeta"])):
        conversion = Conversion(ends=Ends(signature=signature))
        manifest = convert("three_no_default_signature", target, "fp32", "", conversion=conversion).manifest
        assert sorted(spec.name for spec in manifest.inputs) == inputs
        assert f"signature {signature}" in manifest.notes
    manifest = convert("three_default_signature", target, "fp32", "").manifest
    assert "signature serving_default was taken, there are others: twice" in manifest.notes


@pytest.mark.parametrize("target", TARGETS)
def test_data_in_another_range_are_named_whether_it_is_refused_or_not(
    convert: Callable[..., Artifact], target: str
) -> None:
    said = "input image: calibration data go from 0 to 1, the model expects 0 to 255"
    try:
        manifest = convert(
            "own_rescaling.keras", target, "int8", "own_rescaling_wrong_calibration.npz"
        ).manifest
    except EdgewrightError as error:
        assert error.hint.startswith(f"correct the data first ({said}), then ")
    else:
        assert said in manifest.notes
        assert manifest.calibration.ranges[0] == pytest.approx((0, 1), abs=0.01)
