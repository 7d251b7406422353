"""What a verdict says to people: the output, the slice, both figures, and the cure that fits the cause."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from edgewright.compile.quality.verdict import description, judge, refusal
from edgewright.compile.quality.verdict.limits import Rule
from edgewright.deployments import gate
from edgewright.nouns.artifact import Calibration, Goldens, Manifest, Parity, Source, TensorSpec
from edgewright.precisions import PRECISIONS
from edgewright.wire.answers import Result, Verdict

Array = np.ndarray[Any, Any]
NOTHING = Parity(max_abs=0, max_relative=0, cosine=0, sqnr_db=0, top1_agreement=0, count=16)


def manifest(
    precision: str, *shapes: tuple[int, ...], origin: str = "calibration", samples: int = 0
) -> Manifest:
    row = PRECISIONS[precision]
    return Manifest(
        schema=2, source=Source(format="onnx", file="m.onnx", sha256=""), target="onnxruntime", precision=precision, entry="m",
        files=(), inputs=(), parity=NOTHING, calibration=Calibration(samples=samples),
        outputs=tuple(TensorSpec(name=f"y{index}", shape=shape, dtype="float32") for index, shape in enumerate(shapes)),
        goldens=Goldens(file="g", count=16, origin=origin, framework="", tolerance=row.tolerance),
    )  # fmt: skip


def judged(about: Manifest, *pairs: tuple[Array, Array]) -> list[judge.Judged]:
    row = PRECISIONS[about.precision]
    data = about.goldens.origin != "random"
    rule = Rule(row.tolerance, row.following_db, row.equal, row.rounding, data, in_steps=False)
    steps = [np.zeros(spec.shape) for spec in about.outputs]
    counts = [np.ones(one.shape, bool) for one, _ in pairs]
    return judge.judge(
        [one for one, _ in pairs], [other for _, other in pairs], about.outputs, steps, counts, rule
    )


def refused(about: Manifest, *pairs: tuple[Array, Array]) -> refusal.Unlike:
    try:
        error = refusal.refuse(judged(about, *pairs), about, NOTHING)
    except refusal.Unlike as raised:
        error = raised
    assert error is not None
    assert error.code == "parity"
    assert len(error.verdict) == len(pairs)
    assert error.message.startswith("onnxruntime")
    return error


@pytest.fixture
def answers() -> Array:
    return np.random.default_rng(1).normal(size=(16, 4, 6))


def test_a_lost_slice_is_named_with_both_figures(answers: Array) -> None:
    answers[:, 0] *= 50
    output = answers.copy()
    output[:, 3] = 0
    error = refused(manifest("int8", (4, 6), samples=400), (answers, output))
    assert error.message.startswith("onnxruntime int8: lost in output y0: index 3 of axis 0 (-0.")
    assert "all of the output has 3" in error.message
    assert error.hint.startswith("let --fallback search")
    assert "or take another target" in error.hint
    few = refused(manifest("int8", (4, 6), samples=20), (answers, output))
    assert few.hint.startswith("give more calibration data than 20 samples, let --fallback")


def test_slices_in_another_order_are_named(answers: Array) -> None:
    error = refused(manifest("int8", (4, 6), samples=400), (answers, answers[:, [1, 0, 2, 3]]))
    assert error.message == (
        "onnxruntime int8: slices of output y0 are in other places: index 0 of axis 0 is at index 1, index 1 of axis 0 is at index 0"
    )
    assert error.hint == "what converts to onnxruntime changed the order: try another target"


def test_what_is_only_less_exact_is_for_the_caller_to_raise(answers: Array) -> None:
    about = manifest("int8", (4, 6))
    less = answers + np.random.default_rng(2).normal(size=answers.shape) * 0.2
    assert refusal.refuse(judged(about, (answers, less)), about, NOTHING) is not None
    less[:, 3] = -answers[:, 3]  # lost as well
    with pytest.raises(refusal.Unlike):
        refusal.refuse(judged(about, (answers, less)), about, NOTHING)


def test_many_slices_are_counted() -> None:
    answers = np.random.default_rng(1).normal(size=(16, 12, 3))
    answers[:, 11] *= 90
    output = answers.copy()
    output[:, :9] = 0
    message = refused(manifest("int8", (12, 3)), (answers, output)).message
    assert message.count("of axis 0") == 3
    assert " and 6 more; " in message


def test_fp32_is_not_advised_to_be_more_exact(answers: Array) -> None:
    wrong = (answers, answers * 1.1)
    for origin in ("calibration", "random"):
        error = refused(manifest("fp32", (4, 6), origin=origin), wrong)
        assert "SQNR 20.0 dB of at least 60, relative error 0.1 of at most 0.001" in error.message
        assert "another target" in error.hint
        assert "precis" not in error.hint
        assert ("--calibration" in error.hint) == (origin == "random")


def test_each_cause_has_its_cure(answers: Array) -> None:
    wrong = (answers, answers * 3)
    assert "take fp32" in refused(manifest("fp16", (4, 6)), wrong).hint
    assert "fp16 or fp32" in refused(manifest("int8-dynamic", (4, 6)), wrong).hint
    assert "more exact" not in refused(manifest("as-is", (4, 6)), wrong).hint
    assert "give --calibration data" in refused(manifest("int8", (4, 6), origin="random"), wrong).hint


def test_data_in_another_range_come_first(answers: Array) -> None:
    error = refused(manifest("int8", (4, 6), samples=400), (answers, answers * 3))
    with pytest.raises(refusal.Unlike) as raised, refusal.after([]):
        raise error
    assert raised.value.hint.startswith("let --fallback search")
    with pytest.raises(refusal.Unlike) as raised, refusal.after(["input x: one range", "input y: another"]):
        raise error
    assert raised.value.hint.startswith(
        "correct the data first (input x: one range; input y: another), then let --fallback search"
    )


def test_values_that_are_not_finite_are_said_to_be_so(answers: Array) -> None:
    output = answers.copy()
    output[2, 1, 1] = np.nan
    error = refused(manifest("fp16", (4, 6), (4, 6)), (answers, answers), (answers, output))
    assert (
        error.message
        == "onnxruntime fp16: a value of output y1 is not finite, or not as infinite as the source's"
    )
    assert "overflow" in error.hint
    output[:, 2] = np.inf
    assert refused(manifest("fp32", (4, 6)), (answers, output)).message.startswith(
        "onnxruntime fp32: 97 values of"
    )


def test_classes_are_counted() -> None:
    labels = np.arange(320).reshape(16, 20) % 5
    other = labels.copy()
    other[:, :3] += 1
    message = refused(manifest("int8", (20,)), (labels, other)).message
    assert (
        message
        == "onnxruntime int8: output y0 differs from the source's in 48 places, of at most 26 (85.00% are equal)"
    )


def test_what_does_not_follow_says_so() -> None:
    draw = np.random.default_rng(2)
    answers = 1013 + 0.1 * draw.normal(size=(16, 1))
    message = refused(manifest("fp32", (1,)), (answers, answers + 0.02 * draw.normal(size=(16, 1)))).message
    assert "output y0 does not follow the source's: 1" in message
    assert "of at least 50" in message
    constant = refused(manifest("int8", (1,)), (answers, np.full_like(answers, 1013.0))).message
    assert "larger than all that the source changes (-0." in constant
    assert "the SQNR is 8" in constant


def shown(about: Manifest, *pairs: tuple[Array, Array]) -> list[tuple[str, str]]:
    verdict = tuple(one.verdict for one in judged(about, *pairs))
    return list(description.rows(msgspec.structs.replace(about, verdict=verdict)))


def test_the_table_says_how_near_it_is(answers: Array) -> None:
    output = answers.copy()
    output[:, 2, 0] += 0.5
    ((heading, text),) = shown(manifest("int8", (4, 6)), (answers, output))
    assert heading == "answers"
    assert text.startswith(
        "error 11 % of the values, 12 % of what changes (SQNR 19.1 dB); worst: index 0 of axis 1, 28 % of what changes"
    )
    assert shown(manifest("fp32", (4, 6)), (answers, answers)) == [("answers", "no error")]
    labels = np.arange(320).reshape(16, 20) % 5
    assert shown(manifest("int8", (20,)), (labels, labels)) == [("answers", "all equal")]
    other = labels.copy()
    other[3, 3] = 9
    assert shown(manifest("int8", (20,)), (labels, other)) == [("answers", "99.69% equal")]


def test_what_is_not_covered_is_named_as_a_class() -> None:
    answers = np.random.default_rng(3).normal(size=(16, 20))
    answers[:, [17, 3]] = -4
    ((_, text),) = shown(manifest("int8", (20,)), (answers, answers + 1e-3))
    assert text.endswith("; the same first choice; not covered: class 3, class 17")
    assert "; worst: class " in text
    answers[:, 4:10] = 1
    assert shown(manifest("int8", (20,)), (answers, answers))[0][1].endswith(
        "; not covered: class 3, class 4, class 5, class 6 and 4 more"
    )


def test_many_outputs_are_shown_in_part(answers: Array) -> None:
    about = manifest("fp32", *[(4, 6)] * 8, origin="random")
    rows = shown(about, *[(answers, answers)] * 8)
    assert [text for _, text in rows[:2]] == ["y0: no error", "y1: no error"]
    assert rows[6:] == [
        ("answers", "and 2 more outputs"),
        ("caveat", "not proven on data (random goldens): give --calibration data like its real inputs"),
    ]


def test_an_artifact_of_schema_1_is_shown_too() -> None:
    assert list(description.rows(manifest("fp32", (4, 6)))) == [("answers", "SQNR 0.0 dB")]


def test_the_gate_says_what_random_goldens_prove() -> None:
    given, random = manifest("int8", (4,)), manifest("int8", (4,), origin="random")
    result = Result(result="1-x", sha256="0" * 64, size=1)
    right = Verdict(
        ok=True, goldens=16, sqnr_db=50.0, relative=0.1, failed=(), runtime="x 1", accelerator="cpu", outputs=result
    )  # fmt: skip
    check = gate.answers(right, random)
    assert (check.ok, check.note) == (True, "ok, not proven on data (random goldens)")
    assert gate.answers(right, given).note == ""
    assert "golden" in gate.answers(replace(right, ok=False), random).note
