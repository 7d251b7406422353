"""The rule for one output, number by number, and the faults that it has to find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgewright.compile.quality.verdict import classes, judge, sentinels, slices
from edgewright.compile.quality.verdict.decibels import decibel, raised
from edgewright.compile.quality.verdict.limits import Rule
from edgewright.nouns.artifact import TensorSpec
from edgewright.precisions import PRECISIONS

Array = np.ndarray[Any, Any]


def rule(precision: str = "int8", *, data: bool = True, in_steps: bool = False) -> Rule:
    row = PRECISIONS[precision]
    return Rule(row.tolerance, row.following_db, row.equal, row.rounding, data, in_steps)


def judged(
    reference: Array, output: Array, by: Rule, *, step: float = 0.0, counts: Array | None = None, **spec: Any
) -> judge.Judged:
    shape = reference.shape[1:]
    specs = [TensorSpec(name="y", shape=shape, dtype=output.dtype.name, **spec)]
    counted = np.ones(reference.shape, bool) if counts is None else counts
    (found,) = judge.judge([reference], [output], specs, [np.full(shape, step)], [counted], by)
    return found


def named(found: judge.Judged) -> list[tuple[int | None, int]]:
    return [(one.axis, one.at) for one in found.suspects]


@pytest.fixture
def scores() -> Array:
    """16 answers of 6 scores in 5 places, each with its own mean and changes."""
    draw = np.random.default_rng(3)
    return draw.normal(size=(16, 6, 5)) + np.arange(6)[:, None]


def test_the_figures_are_what_they_say() -> None:
    reference = np.array([[1.0, 10.0], [3.0, 10.0]])
    output = np.array([[1.0, 10.5], [3.0, 10.5]])
    found = judged(reference, output, rule(), step=0.5)
    verdict = found.verdict
    assert verdict.sqnr_db == pytest.approx(10 * np.log10(210 / 0.5), abs=1e-4)
    assert verdict.following_db == pytest.approx(10 * np.log10(2 / 0.5), abs=1e-4)
    assert (verdict.worst, found.max_abs, found.relative) == (
        slices.Slice(axis=0, index=0, sqnr_db=200),
        0.5,
        0.05,
    )
    assert verdict.not_covered == ((0, 1),)  # 10 always: it changes by less than a step
    floor = 4 * (0.25 / 6 + (8 * 2**-23 * 10) ** 2)
    assert verdict.limits.noise == pytest.approx(2 / 10**1.5 + floor, rel=1e-5)
    assert judged(reference, output, rule("as-is"), step=0.5).verdict.limits.noise == pytest.approx(
        210 / 10**2 + floor, rel=1e-4
    )
    assert verdict.limits.error == pytest.approx(0.45 * 10 + 2 * 0.5)
    (limits,) = verdict.limits.slices
    assert limits.noise == (2.0, 2.0)  # what is not tested may not be off by what the others usually change
    assert found.suspects == ()


def test_a_slice_may_err_twice_as_much_elsewhere_as_here() -> None:
    reference = np.array([[1.0, 0.0], [3.0, 9.0]])
    found = judged(reference, reference + np.array([0.0, 7.0]), rule())
    (limits,) = found.verdict.limits.slices
    assert limits.noise[0] == 2.0
    assert limits.noise[1] == pytest.approx(196, rel=1e-5)
    assert limits.noise[1] >= 196  # type: ignore[operator]
    assert named(found) == [(None, 0), (0, 1)]


def test_a_dropped_bias_is_lost_though_all_of_the_output_is_near(scores: Array) -> None:
    scores[:, 5] += 40
    output = scores.copy()
    output[:, 3] -= 1.5
    found = judged(scores, output, rule())
    assert not found.low
    assert found.sqnr_db > 20
    assert named(found)[0] == (0, 3)
    assert found.verdict.worst is not None
    assert (found.verdict.worst.axis, found.verdict.worst.index) == (0, 3)


def test_a_wrong_zero_point_is_lost(scores: Array) -> None:
    spec = {"scale": 0.05, "zero_point": -20}
    right = np.round(scores / 0.05 - 20).clip(-128, 127).astype(np.int8)
    assert judged(scores, right, rule(), step=0.05, **spec).suspects == ()
    off = judged(scores, right, rule(), step=0.05, scale=0.05, zero_point=15)
    assert {(0, index) for index in range(6)} < set(named(off))


def test_a_class_that_is_always_zero_is_lost(scores: Array) -> None:
    scores[:, :4] *= 100
    output = scores.copy()
    output[:, 5] = 0
    found = judged(scores, output, rule("fp32"))
    assert named(found)[0] == (0, 5)
    assert named(judged(scores, output, rule("int8"))) == [(0, 5)]
    assert found.sqnr_db > 35


def test_swapped_classes_are_named(scores: Array) -> None:
    output = scores[:, [0, 4, 2, 3, 1, 5]]
    found = judged(scores, output, rule())
    assert {(one.at, one.instead) for one in found.suspects if one.axis == 0} == {(1, 4), (4, 1)}


def test_one_wrong_golden_is_refused(scores: Array) -> None:
    output = scores.copy()
    output[7] *= -1
    assert judged(scores, output, rule("fp32")).low
    assert judged(scores, output, rule("fp16")).low
    nearly = scores.copy()
    nearly[7, 2, 2] += 0.003 * scores.max()  # of the SQNR nothing is to be seen
    assert judged(scores, nearly, rule("fp32")).low


def test_floats_that_do_not_follow_are_refused() -> None:
    draw = np.random.default_rng(5)
    reference = 1013 + 0.1 * draw.normal(size=(16, 1))
    output = reference + 0.02 * draw.normal(size=(16, 1))
    found = judged(reference, output, rule("fp32"))
    assert found.sqnr_db > 80
    assert not found.low
    assert found.still
    assert not judged(reference, reference + 1e-4, rule("fp32")).still
    assert not judged(reference, output, rule("int8")).still
    assert named(judged(reference, np.full_like(reference, 1013.2), rule("int8"))) == [(None, 0)]


def test_random_goldens_judge_no_slice(scores: Array) -> None:
    output = scores.copy()
    output[:, 0] = 9
    found = judged(scores, output, rule(data=False))
    assert found.suspects == ()
    assert found.verdict.limits.slices == ()
    assert (found.verdict.worst, found.verdict.not_covered) == (None, ())
    assert found.low


def test_chances_sum_to_one_along_an_axis() -> None:
    draw = np.random.default_rng(6)
    chances = draw.random((16, 3, 7))
    chances /= chances.sum(axis=2, keepdims=True)
    counts = np.ones(chances.shape, bool)
    assert slices.distributions(chances, counts) == [1]
    assert slices.distributions(chances + 0.01, counts) == []
    with_gaps = chances.copy()
    with_gaps[:, 2] = 55
    counts[:, 2] = False
    assert slices.distributions(with_gaps, counts) == [1]


def test_short_axes_come_first_and_there_is_an_end() -> None:
    draw = np.random.default_rng(7)
    shapes = [(4, 1000, 3), (4, 1000, 900), (4, 1, 1001, 1000)]
    outputs = [draw.normal(size=shape) for shape in shapes]
    assert slices.axes(outputs) == [[1, 0], [1, 0], [2]]
    many = [draw.normal(size=(4, 999)) for _ in range(6)]
    assert [len(one) for one in slices.axes(many)] == [1, 1, 1, 1, 0, 0]


def test_a_quiet_border_of_a_map_is_not_lost(scores: Array) -> None:
    """Rows of a picture are places: where hardly anything changes there is little to lose. Scores beside boxes are not such rows."""
    draw = np.random.default_rng(9)
    rows = draw.normal(size=(16, 1, 40)).repeat(24, axis=1) + 0.2 * draw.normal(size=(16, 24, 40))
    rows[:, 20:] *= np.array([0.5, 0.1, 0.01, 1e-4])[:, None]
    output = rows + 0.1 * draw.normal(size=rows.shape)
    found = judged(rows, output, rule())
    assert found.suspects == ()
    assert [index for axis, index in found.verdict.not_covered if axis == 0] == [21, 22, 23]
    output[:, 5] = 0
    assert (0, 5) in named(judged(rows, output, rule()))
    alone = draw.normal(size=(16, 24, 40))
    alone[:, 20:] *= np.array([0.5, 0.1, 0.01, 1e-4])[:, None]
    noisy = alone + 0.2 * draw.normal(size=alone.shape)
    assert {(0, 21), (0, 22), (0, 23)} <= set(named(judged(alone, noisy, rule())))


def detector(draw: np.random.Generator) -> Array:
    """Boxes in pixels, and scores that follow how likely there is anything at all: (16, 25, 40)."""
    some = np.where(draw.random((16, 1, 40)) < 0.2, draw.uniform(0.3, 1, (16, 1, 40)), 0.01)
    return np.concatenate(
        [draw.uniform(0, 640, (16, 4, 40)), some, some * draw.uniform(0.3, 1, (16, 20, 40))], axis=1
    )


def test_scores_that_follow_one_another_are_no_border_of_the_boxes() -> None:
    reference = detector(np.random.default_rng(4))
    output = reference.copy()
    output[:, 4:] = 0
    found = named(judged(reference, output, rule("fp16")))
    assert {(0, index) for index in range(4, 25)} <= set(found)
    sizes = np.array([100, 50, 20, *[1] * 7])
    latent = np.random.default_rng(5).normal(size=(16, 1, 1)) * sizes
    dead = np.where(np.arange(10) < 3, latent, 0)
    assert {(1, index) for index in range(3, 10)} <= set(named(judged(latent, dead, rule())))


def test_a_class_that_no_golden_shows_may_not_be_found_everywhere() -> None:
    draw = np.random.default_rng(6)
    reference = np.concatenate(
        [draw.uniform(0, 640, (16, 4, 40)), draw.uniform(0, 1, (16, 5, 40)), np.zeros((16, 1, 40))], axis=1
    )
    output = reference.copy()
    output[:, 9] = 0.01  # noise
    assert judged(reference, output, rule("fp16")).suspects == ()
    output[:, 9] = 0.95
    assert named(judged(reference, output, rule("fp16"))) == [(0, 9)]


def test_a_pressure_beside_shares_is_no_infinity() -> None:
    draw = np.random.default_rng(7)
    reference = np.concatenate([draw.uniform(0, 1, (16, 3)), draw.normal(101325, 150, (16, 1))], axis=1)
    output = reference.copy()
    output[:, 3] = 80000
    found = judged(reference, output, rule("fp32"))
    assert found.verdict.limits.apart is None
    assert found.low


def test_kernels_that_compute_something_else_let_in_a_quarter_at_most() -> None:
    draw = np.random.default_rng(8)
    reference = draw.normal(size=(16, 10))
    spec = TensorSpec(name="y", shape=(10,), dtype="float32")
    steps, counts = [np.zeros(10)], [np.ones(reference.shape, bool)]
    apart_by = [judge.Disagreement(np.ones(10), 3.0)]
    (found,) = judge.judge([reference], [np.zeros_like(reference)], [spec], steps, counts, rule(), apart_by)
    assert found.low or found.suspects


def test_edges_of_a_sharp_map_may_fall_either_way() -> None:
    draw = np.random.default_rng(10)
    reference = (draw.random((16, 1, 40, 40)) < 0.2).astype(float)
    output = reference.copy()
    output[:, 0, 7, 7] = 1 - reference[:, 0, 7, 7]  # 16 of 25,600 values
    by = rule()._replace(strays=1e-3)
    found = judged(reference, output, by)
    assert not found.low
    assert found.verdict.limits.error == 1.5
    assert judged(reference, output, rule()).low
    output[:, 0, 8:10, 7] = 1 - reference[:, 0, 8:10, 7]
    assert judged(reference, output, by).low
    output = reference.copy()
    output[0, 0, 7, 7] = 9  # no edge: larger than anything there is
    assert judged(reference, output, by).low


def test_a_picture_of_bytes_is_no_map_of_classes() -> None:
    draw = np.random.default_rng(9)
    picture = draw.integers(0, 256, (16, 1, 32, 32)).astype(np.uint8)
    near = np.clip(picture.astype(int) + (draw.random(picture.shape) < 0.2), 0, 255).astype(np.uint8)
    assert judged(picture, near, rule()).verdict.equal is None
    assert not judged(picture, near, rule()).low
    classes_map = np.repeat(np.repeat(draw.integers(0, 150, (16, 1, 8, 8)), 4, 2), 4, 3).astype(np.uint8)
    assert judged(classes_map, classes_map, rule()).verdict.equal == 1
    logits = draw.integers(0, 20, (16, 10)).astype(np.uint8)
    assert judged(logits, logits, rule(), step=0.1).verdict.equal is None


def test_what_does_not_count_is_in_no_sum(scores: Array) -> None:
    output = scores.copy()
    output[:, :, 4] = np.nan
    counts = np.ones(scores.shape, bool)
    counts[:, :, 4] = False
    found = judged(scores, output, rule("fp32"), counts=counts)
    assert (found.wrong, found.low, found.still, found.suspects) == (0, False, False, ())
    assert found.verdict.sqnr_db == 200
    assert judged(scores, output, rule("fp32")).wrong == 16 * 6


@pytest.mark.parametrize("huge", [-np.inf, float(np.finfo(np.float32).min), -1e9])
def test_values_apart_are_matched_and_not_summed(scores: Array, huge: float) -> None:
    reference, output = scores.copy(), scores + 1e-6
    reference[:, :, 4] = huge
    output[:, :, 4] = -65504.0 * 16
    found = judged(reference, output, rule("fp32"))
    assert found.verdict.limits.apart == pytest.approx(
        1e4 * max(1, np.median(np.abs(scores[:, :, :4]))), rel=0.3
    )
    assert (found.wrong, found.low, found.still, found.suspects) == (0, False, False, ())
    assert found.sqnr_db > 100
    output[3, 2, 4] = 5.0
    output[4, 2, 4] = 1e9
    assert judged(reference, output, rule("fp32")).wrong == 2


def test_quantities_are_not_apart_however_different_they_are() -> None:
    counts = np.ones((16, 12), bool)
    chances = np.full((16, 12), 1e-9)
    chances[:, 3] = 0.9999
    assert sentinels.limit(chances, counts) is None
    areas = np.full((16, 12), 0.5)
    areas[:, 0] = np.linspace(1e5, 9e5, 16)
    assert sentinels.limit(areas, counts) is None


def test_classes_are_equal_or_not() -> None:
    reference = np.arange(4000, dtype=np.int64).reshape(4, 1000) % 7
    output = reference.astype(np.int32)
    output[0, :100] += 1
    found = judged(reference, output, rule("int8"))
    assert (found.verdict.equal, found.unequal, found.low) == (0.975, 100, False)
    assert found.verdict.limits == judge.Limits(unequal=233)
    assert found.verdict.sqnr_db is found.verdict.following_db is found.verdict.worst is None
    assert found.sqnr_db == pytest.approx(10 * np.log10(40), abs=1e-4)
    assert judged(reference, output, rule("fp32")).low
    booleans = reference > 3
    assert judged(booleans, ~booleans, rule("int8")).low


@pytest.mark.parametrize(
    ("count", "least", "most"),
    [
        (16, 0.95, 3),
        (16, 0.999, 1),
        (4000, 0.95, 233),
        (9000, 0.95, 499),
        (11_000_000, 0.95, 551_681),
        (1, 0.95, 1),
        (0, 0.9, 0),
    ],
)
def test_so_many_classes_may_differ(count: int, least: float, most: int) -> None:
    assert classes.most_unequal(count, least) == most


def test_integers_of_a_quantised_source_stand_for_values() -> None:
    draw = np.random.default_rng(8)
    reference = draw.integers(-128, 128, (16, 50)).astype(np.int8)
    output = (reference.astype(int) + draw.integers(-1, 2, (16, 50))).clip(-128, 127).astype(np.int8)
    found = judged(reference, output, rule("as-is", in_steps=True), step=0.1, scale=0.1, zero_point=3)
    assert found.verdict.equal is None
    assert found.max_abs == pytest.approx(0.1, rel=1e-5)
    assert (found.low, found.suspects) == (False, ())


def test_a_heat_map_of_few_steps_goes_through_in_steps() -> None:
    """Two steps of signal at most, and a kernel that rounds the other way: no refusal, the step is all there is."""
    reference = np.zeros((16, 8, 8), np.uint8)
    reference[:, 4, 4] = 1 + np.arange(16) % 2
    output = reference.copy()
    output[:, 4, 4] += 1
    found = judged(reference, output, rule("as-is", in_steps=True), step=1 / 256, scale=1 / 256, zero_point=0)
    assert (found.low, found.suspects) == (False, ())


def test_the_first_choice_counts_where_it_is_clear() -> None:
    reference = np.array([[0.0, 1.0, 5.0]] * 8 + [[3.0, 3.0 + 1e-9, 0.0]] * 8)
    output = reference.copy()
    output[8:, 0] += 1e-3
    assert judged(reference, output, rule()).verdict.top1 == 1
    output[0, 0] = 9
    assert judged(reference, output, rule()).verdict.top1 == 0.875
    assert judged(reference[:, :1], output[:, :1], rule()).verdict.top1 is None
    assert judged(np.stack([reference] * 2, 1), np.stack([output] * 2, 1), rule()).verdict.top1 is None


def test_all_outputs_together() -> None:
    reference = np.array([[3.0, 4.0], [0.0, 5.0]])
    off = judged(reference, reference + np.array([[0.5, 0.0], [0.0, 0.0]]), rule())
    turned = judged(reference, reference[:, ::-1], rule())
    found = judge.parity([off, turned], 2)
    assert (found.count, found.top1_agreement, found.max_abs) == (2, 1.0, 5.0)
    assert judge.parity([off], 2).max_relative == 0.1
    assert judge.parity([off], 2).sqnr_db == pytest.approx(10 * np.log10(50 / 0.25), rel=1e-5)
    assert found.sqnr_db == turned.sqnr_db
    assert judge.parity([judged(reference, reference * np.nan, rule())], 2).sqnr_db == -200
    assert judge.parity([turned], 2).cosine == 0.0


def test_figures() -> None:
    assert (decibel(1, 0), decibel(0, 1), decibel(1, float("nan")), decibel(0, 0)) == (200, -200, -200, 200)
    for value in (1.23456789, 2.0, 1e-30, 123456789.0, 0.0):
        assert value <= raised(value) <= value * 1.00001
    assert raised(1.2345601) == 1.23457
