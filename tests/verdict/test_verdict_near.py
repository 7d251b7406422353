"""A board's limit on the noise of a whole output: near the error that the host saw, where both compute in the same integers."""

from __future__ import annotations

from array import array
from typing import Any

import msgspec
import numpy as np
import pytest

from edgewright import targets
from edgewright.compile.quality.verdict import judge
from edgewright.compile.quality.verdict.limits import Rule, rule_of
from edgewright.nouns.artifact import Goldens, Manifest, Parity, Source, TensorSpec
from edgewright.nouns.verdict import Limits
from edgewright.precisions import PRECISIONS
from edgewright_agent.checks.verdict import Judge

Array = np.ndarray[Any, Any]
SPEC = TensorSpec(name="y", shape=(6,), dtype="float32")


def rule(precision: str, *, near: bool = True) -> Rule:
    row = PRECISIONS[precision]
    return Rule(row.tolerance, row.following_db, row.equal, row.rounding, True, False, near=near)


@pytest.fixture
def reference() -> Array:
    return np.random.default_rng(3).normal(size=(16, 6))


def limits(reference: Array, output: Array, by: Rule, *, step: float = 0.0) -> Limits:
    counts = np.ones(reference.shape, bool)
    (found,) = judge.judge([reference], [output], [SPEC], [np.full(6, step)], [counts], by)
    assert not found.low
    return found.verdict.limits


def off(reference: Array, decibels: float, seed: int = 4) -> Array:
    """The reference with noise that has this many dB less power."""
    noise = np.random.default_rng(seed).normal(size=reference.shape)
    size = (np.square(reference).sum() / 10 ** (decibels / 10) / np.square(noise).sum()) ** 0.5
    return reference + size * noise


def refused(limits: Limits, reference: Array, output: Array) -> bool:
    """By the agent's own code."""
    judged = Judge({**msgspec.to_builtins(limits), "slices": []}, list(SPEC.shape))
    for one, other in zip(reference, output, strict=True):
        judged.add(array("d", other), array("d", one), len(one), len(reference))
    return bool(judged.low() or judged.wrong)


def test_the_limit_is_four_times_the_hosts_noise_and_what_rounding_may_be(reference: Array) -> None:
    output, step = off(reference, 25), 0.1
    floor = 16 * ((7 / 6) * step**2 + (2**-11 * np.abs(reference).max(axis=0)) ** 2).sum()
    signal = np.square(reference - reference.mean(axis=0)).sum()
    wanted = 4 * np.square(output - reference).sum() + floor + signal / 10**3.5
    assert limits(reference, output, rule("int8"), step=step).noise == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("precision", ["int8", "int8-mixed", "int8-dynamic", "int8-weights", "int16x8", "int4-weights"])  # fmt: skip
def test_a_board_that_errs_far_more_than_the_host_is_refused(reference: Array, precision: str) -> None:
    found = limits(reference, off(reference, 25), rule(precision))
    assert refused(found, reference, off(reference, 17, seed=5))
    assert not refused(found, reference, off(reference, 20, seed=5))
    loose = limits(reference, off(reference, 25), rule(precision, near=False))
    assert not refused(loose, reference, off(reference, 17, seed=5))


def test_what_other_kernels_may_do_is_accepted(reference: Array) -> None:
    """Sums in 16-bit floats, and answers that fall on the step beside the host's."""
    for mean in (0, 1000):
        answers = reference + mean
        exact = limits(answers, answers, rule("int8-dynamic"))
        assert not refused(exact, answers, answers.astype(np.float16))
        assert not refused(
            exact, answers, mean + off(reference - reference.mean(axis=0), 36) + reference.mean(axis=0)
        )
        assert refused(exact, answers, mean + off(reference, 5))
    step = 0.05
    rounded = np.rint(reference / step) * step
    draw = np.random.default_rng(6)
    beside = rounded + step * draw.choice([-1, 1], rounded.shape)
    found = limits(reference, rounded, rule("int8"), step=step)
    assert not refused(found, reference, beside)


def test_the_least_exact_host_keeps_the_precisions_own_limit(reference: Array) -> None:
    wide = limits(reference, off(reference, 11), rule("int8"))
    own = limits(reference, off(reference, 11), rule("int8", near=False))
    assert wide == own


def manifest(precision: str) -> Manifest:
    goldens = Goldens(
        file="goldens.npz", count=16, origin="calibration", framework="onnx", tolerance=PRECISIONS[precision].tolerance
    )  # fmt: skip
    return Manifest(
        schema=2,
        source=Source(format="onnx", file="m.onnx", sha256=""), target="onnxruntime", precision=precision, entry="model.onnx",
        files=(), inputs=(), outputs=(SPEC,), goldens=goldens,
        parity=Parity(max_abs=0.0, max_relative=0.0, cosine=1.0, sqnr_db=200.0, top1_agreement=1.0, count=16),
    )  # fmt: skip


def test_which_artifacts_boards_keep_near() -> None:
    assert {one for one in PRECISIONS if not rule_of(manifest(one), [SPEC]).near} == {"fp32", "fp16", "as-is"}
    # TensorRT runs on the board, ONNX Runtime in its place on the host
    assert not rule_of(manifest("int8"), [SPEC], same_runtime=False).near
    # its sums of 8-bit products are cut off on CPUs that boards have
    varies = targets.load("openvino").sums_vary
    assert {one for one in PRECISIONS if rule_of(manifest(one), [SPEC], sums_vary=varies).sums_vary} == {
        "int8",
        "int8-mixed",
    }
