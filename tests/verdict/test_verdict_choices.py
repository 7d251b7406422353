"""Choices: where an output makes one, and whether an artifact makes the source's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgewright.compile.quality.verdict import fresh_samples, judge
from edgewright.compile.quality.verdict.choices import Choice, Choices, Chosen, choice
from edgewright.compile.quality.verdict.limits import Rule
from edgewright.nouns.artifact import TensorSpec
from edgewright.precisions import PRECISIONS

Array = np.ndarray[Any, Any]


def rule(precision: str) -> Rule:
    row = PRECISIONS[precision]
    return Rule(row.tolerance, row.following_db, row.equal, row.rounding, True, False, row.strays)


def where(reference: Array, distributions: list[int] | None = None) -> Choice | None:
    signal = np.square(reference - reference.mean(axis=0)).sum(axis=0)
    return choice(reference, signal, np.ones(reference.shape, bool), distributions or [])


def counted(references: Array, answers: Array, margin: float = 0.0) -> Chosen:
    found = Choices(Choice(references.ndim - 2, margin), references.shape[-1])
    for one, other in zip(references, answers, strict=True):
        found.add(one, other, np.ones(one.shape, bool))
    return found.found


def rows(classes: list[int], count: int = 4) -> Array:
    return np.eye(count)[classes]


def test_an_output_chooses_among_values_of_one_size_or_chances() -> None:
    draw = np.random.default_rng(1)
    scores = draw.normal(size=(16, 1, 10))
    found = where(scores)
    assert found is not None and found.axis == 1
    changes = np.square(scores - scores.mean(axis=0)).mean() ** 0.5
    assert found.margin == pytest.approx(0.05 * changes)
    boxes = scores.copy()
    boxes[..., :4] *= 64  # pixels beside scores
    assert where(boxes) is None
    assert where(draw.normal(size=(16, 3, 10))) is None  # a map of anything
    assert where(draw.random((16, 3, 10)), [0]) is not None
    assert where(draw.normal(size=(16, 1))) is None


def test_other_choices_and_lost_classes_are_counted() -> None:
    source = [0] * 10 + [1] * 6 + [2] * 4
    made = [0] * 10 + [1] * 5 + [0] + [0] * 4
    found = counted(rows(source), rows(made))
    assert (found.samples, found.other) == (20, 5)
    assert found.lost == ((2, 4, 0.0),)  # 0.3^4 < 0.01; of three samples nothing could be known
    assert counted(rows(source[:-1]), rows(made[:-1])).lost == ()
    assert counted(rows([1] * 10), rows([1] * 3 + [0] * 7)).lost == ()  # three of ten may be chance
    assert counted(rows([1] * 10), rows([1] * 2 + [0] * 8)).lost == ((1, 10, 2.0),)


def test_ties_fall_either_way() -> None:
    source, made = (
        np.array([[0.50, 0.49, 0.01], [0.9, 0.1, 0.0]]),
        np.array([[0.49, 0.50, 0.01], [0.1, 0.9, 0.0]]),
    )
    assert counted(source, made, margin=0.02) == Chosen(1, 1.0, 1.0)


def test_choices_of_a_map_count_by_sample() -> None:
    source = np.stack([rows([0, 0, 1, 1])] * 8)
    made = np.stack([rows([0, 0, 1, 0])] * 8)
    found = counted(source, made)
    assert (found.samples, found.other) == (8, 8 * 0.25)
    assert found.lost == ()


def test_how_many_other_choices_refuse_and_how_few_prove() -> None:
    assert not Chosen(144, 14, 14).refused(0.95)
    assert Chosen(144, 15, 15).refused(0.95)
    assert Chosen(144, 7, 7).proven(0.95)
    assert not Chosen(144, 8, 8).proven(0.95)
    assert Chosen(16, 0, 0).proven(0.95)
    assert not Chosen(16, 1, 1).proven(0.95)
    assert not Chosen(15, 0, 0).proven(0.95)
    assert not Chosen(144, 5, 5, ((3, 4, 0.0),)).proven(0.95)


def asked(
    reference: Array, output: Array, others: Array, answers: Array, precision: str = "int8"
) -> judge.Judged:
    by, spec = rule(precision), TensorSpec(name="y", shape=reference.shape[1:], dtype="float32")
    counts = np.ones(reference.shape, bool)
    (found,) = judge.judge([reference], [output], [spec], [np.zeros(spec.shape)], [counts], by)
    pairs = (({0: one}, {0: other}) for one, other in zip(others, answers, strict=True))
    (evidence,) = fresh_samples.evidence({0: found}, by, pairs).values()
    return judge.settled(found, *evidence)


def logits(count: int, seed: int) -> Array:
    draw = np.random.default_rng(seed)
    return 3 * rows(list(draw.integers(0, 10, count)), 10) + 0.3 * draw.normal(size=(count, 10))


def test_kept_choices_prove_more_than_a_figure() -> None:
    """An int8 artifact at 12 dB, of at least 15, whose choices are the source's."""
    goldens, others = logits(16, 1), logits(64, 2)
    draw = np.random.default_rng(3)
    size = 10 ** (-12 / 20) * np.square(goldens - goldens.mean(axis=0)).mean() ** 0.5
    near, kept = (one + size * draw.normal(size=one.shape) for one in (goldens, others))
    found = asked(goldens, near, others, kept)
    assert found.verdict.following_db == pytest.approx(12, abs=1)
    assert found.chosen == Chosen(64, 0, 0)
    assert not found.still
    assert (found.verdict.limits.noise or 0) > np.square(near - goldens).sum()
    moved = kept.copy()
    moved[:9] = np.roll(moved[:9], 1, axis=1)
    found = asked(goldens, near, others, moved)
    assert found.still
    assert found.chosen is not None and found.chosen.refused(0.95)
    assert asked(goldens, goldens + 3 * size * draw.normal(size=goldens.shape), others, others).still  # 2 dB


def test_a_choice_that_falls_the_other_way_is_two_values_far_off() -> None:
    """Chances of a classifier in int4-weights: one golden of 16 is another class."""
    chances = np.full((80, 12), 0.001)
    chances[np.arange(80), np.arange(80) % 12] = 0.989
    goldens, others = chances[:16], chances[16:]
    output = goldens.copy()
    output[3] = np.roll(output[3], 1)
    found = asked(goldens, output, others, others, "int4-weights")
    assert found.chosen == Chosen(64, 0, 0)
    assert not found.low
    assert (found.verdict.limits.error or 0) > 0.98
    worse = others.copy()
    worse[:12] = np.roll(worse[:12], 1, axis=1)
    assert asked(goldens, output, others, worse, "int4-weights").low


def test_classes_that_differ_on_goldens_are_asked_again() -> None:
    reference = np.zeros((16, 40), np.int64)
    output = reference.copy()
    output[:, :4] = 1  # a tenth of them, of at most 5 %
    by, spec = rule("int8"), TensorSpec(name="y", shape=(40,), dtype="int64")
    counts = np.ones(reference.shape, bool)
    (found,) = judge.judge([reference], [output], [spec], [np.zeros(40)], [counts], by)
    assert found.low and found.doubtful
    others = np.zeros((64, 40))
    right = others.copy()
    right[:, :1] = 1
    for answers, low in ((right, False), (others + 1, True)):
        pairs = (({0: one}, {0: other}) for one, other in zip(others, answers, strict=True))
        (evidence,) = fresh_samples.evidence({0: found}, by, pairs).values()
        settled = judge.settled(found, *evidence)
        assert settled.low is low
        assert ((settled.verdict.limits.unequal or 0) >= 64) is not low


@pytest.mark.parametrize(("decibels", "dims"), [(16, 128), (18, 128), (16, 512), (20, 512)])
def test_noise_on_an_embedding_is_not_refused_and_a_class_that_takes_over_is(
    decibels: float, dims: int
) -> None:
    draw = np.random.default_rng(dims)
    source = np.tanh(draw.normal(size=(128, 32))) @ draw.normal(size=(32, dims))
    signal = np.square(source - source.mean(axis=0)).sum(axis=0)
    deviation = (signal.sum() / source.size / 10 ** (decibels / 10)) ** 0.5
    noisy = source + draw.normal(size=source.shape) * deviation
    found = choice(source, signal, np.ones(source.shape, bool), [], deviation)
    assert found is not None and found.doubt > found.margin

    def judged(answers: Array) -> Chosen:
        made = Choices(found, dims)
        for one, other in zip(source, answers, strict=True):
            made.add(one, other, np.ones(dims, bool))
        return made.found

    assert judged(noisy).other > judged(noisy).unexplained
    assert not judged(noisy).refused(0.95) and not judged(noisy).lost
    noisy[:, 3] += 20.0
    assert judged(noisy).refused(0.95)


def test_of_few_values_each_other_choice_counts() -> None:
    draw = np.random.default_rng(1)
    found = choice(draw.normal(size=(16, 10)), np.ones(10), np.ones((16, 10), bool), [], 0.3)
    assert found is not None and found.doubt == 0.0
