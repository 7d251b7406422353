"""How closely outputs and their parts have to follow what the source changes."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from edgewright.compile.quality.verdict import judge
from edgewright.compile.quality.verdict.limits import Rule, rule_of
from edgewright.nouns.artifact import Goldens, Manifest, Parity, Source, TensorSpec
from edgewright.precisions import PRECISIONS

Array = np.ndarray[Any, Any]
SPEC = TensorSpec(name="hpa", shape=(1,), dtype="float32")


def rule(precision: str, *, near: bool = False, sums_vary: bool = False) -> Rule:
    row = PRECISIONS[precision]
    return Rule(
        row.tolerance, row.following_db, row.equal, row.rounding, True, False, row.strays, near, sums_vary
    )


def judged(reference: Array, output: Array, by: Rule) -> judge.Judged:
    spec = msgspec.structs.replace(SPEC, shape=reference.shape[1:])
    counts = np.ones(reference.shape, bool)
    return judge.judge([reference], [output], [spec], [np.zeros(spec.shape)], [counts], by)[0]


@pytest.fixture
def pressure() -> Array:
    """1013 +- 3."""
    return 1013 + np.random.default_rng(1).uniform(-3, 3, (16, 1))


def test_a_small_change_on_a_large_mean_is_followed(pressure: Array) -> None:
    flat = np.full_like(pressure, pressure.mean())
    for precision in ("fp32", "fp16", "int8", "int8-dynamic", "int8-weights", "int16x8", "int4-weights"):
        found = judged(pressure, flat, rule(precision))
        assert found.still, precision
        limits = found.verdict.limits
        assert (limits.noise or 0) < np.square(flat - pressure).sum(), precision
    halves = judged(pressure, pressure.astype(np.float16).astype(float), rule("fp16"))
    assert not halves.still and not halves.low and halves.suspects == ()


def test_what_halves_cannot_resolve_does_not_follow() -> None:
    """1013 +- 0.3 in steps of 0.5."""
    reference = 1013 + np.random.default_rng(1).uniform(-0.3, 0.3, (16, 1))
    found = judged(reference, reference.astype(np.float16).astype(float), rule("fp16"))
    assert found.verdict.following_db is None or found.still


@pytest.mark.parametrize(
    ("precision", "least"),
    [("fp32", 50), ("fp16", 30), ("int8", 15), ("int8-mixed", 15), ("int8-dynamic", 18), ("int8-weights", 18), ("int16x8", 18), ("int4-weights", 12)],
)  # fmt: skip
def test_each_precision_has_its_figure(precision: str, least: float) -> None:
    draw = np.random.default_rng(2)
    reference = draw.normal(size=(16, 4, 9))
    noise = draw.normal(size=reference.shape)
    centred = reference - reference.mean(axis=0)
    noise *= (np.square(centred).sum() / np.square(noise).sum()) ** 0.5
    for decibels, still in ((least + 0.5, False), (least - 0.5, True)):
        assert judged(reference, reference + noise * 10 ** (-decibels / 20), rule(precision)).still is still


def test_on_random_goldens_only_floats_have_to_follow() -> None:
    for precision in PRECISIONS:
        row = PRECISIONS[precision]
        assert (rule_of(manifest(precision, "random"), [SPEC]).following_db is None) is (row.kind != "floats")
        assert rule_of(manifest(precision, "calibration"), [SPEC]).following_db == row.following_db


def manifest(precision: str, origin: str) -> Manifest:
    goldens = Goldens(
        file="goldens.npz", count=16, origin=origin, framework="onnx", tolerance=PRECISIONS[precision].tolerance
    )  # fmt: skip
    parity = Parity(max_abs=0.0, max_relative=0.0, cosine=1.0, sqnr_db=200.0, top1_agreement=1.0, count=16)
    return Manifest(
        schema=2, source=Source(format="onnx", file="m.onnx", sha256=""), target="onnxruntime", precision=precision,
        entry="model.onnx", files=(), inputs=(), outputs=(SPEC,), goldens=goldens, parity=parity,
    )  # fmt: skip


def test_a_part_may_follow_less_closely_than_the_whole() -> None:
    by = rule("int8-weights")
    assert by.slices_db(None) == 0
    assert by.slices_db(40.0) == 18 - 7
    assert by.slices_db(16.0) == 8  # what is usual beside an output of 16 dB
    assert by.slices_db(5.0) == 0
    assert by._replace(following_db=None).slices_db(40.0) == 0
    assert by.proven_db == 18 - 4


def test_a_score_that_is_far_worse_than_the_others_is_lost() -> None:
    draw = np.random.default_rng(3)
    reference = draw.normal(size=(16, 8, 20))
    output = reference + 0.01 * draw.normal(size=reference.shape)
    output[:, 5] = 0.5 * reference[:, 5]  # 6 dB there, 15 dB in all
    found = judged(reference, output, rule("int8"))
    assert [(one.axis, one.at) for one in found.suspects] == [(0, 5)]
    output[:, 5] = 0.8 * reference[:, 5]  # 14 dB
    assert judged(reference, output, rule("int8")).suspects == ()


def test_a_class_of_a_distribution_is_a_part_where_it_says_something() -> None:
    draw = np.random.default_rng(4)
    logits = 4 * draw.normal(size=(16, 6))
    logits[:, 5] -= 40  # no golden is near that class
    dead = logits.copy()
    dead[:, 2] = logits[:, 2].mean()

    def chances(values: Array) -> Array:
        made = np.exp(values)
        return made / made.sum(axis=1, keepdims=True)

    found = judged(chances(logits), chances(dead), rule("int8"))
    assert (0, 2) in [(one.axis, one.at) for one in found.suspects]
    other = logits.copy()
    other[:, 5] += 10
    found = judged(chances(logits), chances(other), rule("int8"))
    assert found.suspects == ()
    assert (0, 5) in found.verdict.not_covered


def test_a_board_keeps_near_in_every_slice() -> None:
    draw = np.random.default_rng(5)
    reference = draw.normal(size=(16, 8, 20))
    output = reference + 0.01 * draw.normal(size=reference.shape)
    near, wide = (judged(reference, output, rule("int8-dynamic", near=one)).verdict.limits.slices[0] for one in (True, False))  # fmt: skip
    signal, noise = (
        np.square(one).sum(axis=(0, 2)) for one in (reference - reference.mean(axis=0), output - reference)
    )
    halves = 16 * (np.square(2**-11 * np.abs(reference).max(axis=0))).sum(axis=1)
    usual = signal * noise.sum() / signal.sum()
    assert near.noise == pytest.approx(8 * np.maximum(noise, usual) + halves + signal / 1e3, rel=1e-4)
    assert min(one or 0 for one in wide.noise) > 10 * max(one or 0 for one in near.noise)
    cut_off = judged(reference, output, rule("int8", near=True, sums_vary=True)).verdict.limits
    assert cut_off.noise == pytest.approx(4 * noise.sum() + halves.sum() + signal.sum() / 10**1.6, rel=1e-4)
    own = judged(reference, output, rule("int8")).verdict.limits
    assert cut_off.slices == own.slices  # sums are cut off in some slices more than in others
