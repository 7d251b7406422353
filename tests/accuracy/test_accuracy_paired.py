"""The paired comparison: exact tests, intervals with the coverage that they promise, and cases without an answer."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.stats import binomtest

from edgewright.compile.data.answers import Answers
from edgewright.compile.quality import metrics, significance
from edgewright.errors import DataError


def ranked(right: np.ndarray) -> Answers:
    """Ranked answers that are right where the label is 0."""
    found = np.full((len(right), 5), 1, np.int32)
    found[right, 0] = 0
    return Answers("top5", [found])


def compared(before: np.ndarray, now: np.ndarray) -> significance.Comparison:
    return significance.compare(metrics.load("top1"), ranked(before), ranked(now), np.zeros(len(before), int))


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (3, 0), (0, 9), (7, 12), (40, 15), (2, 2), (700, 640)])
def test_mcnemar_is_the_binomial_test_of_the_samples_that_differ(lost: int, won: int) -> None:
    low, high, p = significance.mcnemar(lost, won, 2000)
    expected = binomtest(lost, lost + won, 0.5).pvalue if lost + won else 1.0
    assert p == pytest.approx(expected)
    assert low < (lost - won) / 2000 < high
    # Wald's interval without the adjustment is close to it
    half = 1.96 * np.sqrt((lost + won) / 2000 - ((lost - won) / 2000) ** 2) / np.sqrt(2000)
    assert high - low == pytest.approx(2 * half, abs=0.003)


def test_the_interval_of_a_difference_of_shares_covers_it() -> None:
    random = np.random.default_rng(3)
    for lost, won in ((0.02, 0.01), (0.1, 0.1), (0.004, 0.0)):
        hits = 0
        for _ in range(2000):
            kinds = random.choice(3, 300, p=[lost, won, 1 - lost - won])
            low, high, _ = significance.mcnemar(int((kinds == 0).sum()), int((kinds == 1).sum()), 300)
            hits += low <= lost - won <= high
        assert hits / 2000 > 0.935, (lost, won)


def test_a_comparison_of_right_and_wrong_answers() -> None:
    before = np.ones(450, bool)
    now = before.copy()
    now[:20] = False
    found = compared(before, now)
    assert (found.n, found.reference, found.method) == (450, 1.0, "mcnemar")
    assert found.drop == pytest.approx(20 / 450)
    assert found.p == pytest.approx(2 * 0.5**20)
    assert found.low is not None and found.low > 0 and found.clear
    same = compared(before, before)
    assert (same.drop, same.p, same.clear) == (0, 1, False)
    back = compared(now, before)
    assert (back.low, back.high) == (pytest.approx(-found.high), pytest.approx(-found.low))


def figures(seed: int, count: int, shift: float) -> tuple[Answers, Answers, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.normal(size=(count, 1))
    first = labels + random.normal(size=(count, 1)) * 0.3
    second = first + random.normal(size=(count, 1)) * 0.05 + shift
    return Answers("first", [first.astype(np.float32)]), Answers("first", [second.astype(np.float32)]), labels


def test_an_errors_rise_is_bootstrapped_relative_and_repeatable() -> None:
    scorer = metrics.load("mae")
    before, now, labels = figures(1, 400, 0.2)
    found = significance.compare(scorer, before, now, labels)
    assert found.method == "bootstrap"
    assert found.drop == pytest.approx(found.value / found.reference - 1)
    assert found.low is not None and 0 < found.low < found.drop < (found.high or 0)
    assert found.p is not None and found.p < 0.01
    assert significance.compare(scorer, before, now, labels) == found
    calm = significance.compare(scorer, *figures(2, 400, 0.0))
    assert not calm.clear
    assert msgspec.json.decode(msgspec.json.encode(found))["method"] == "bootstrap"


def test_the_bootstrap_covers_the_rise_of_an_error() -> None:
    scorer = metrics.load("mse")
    true = (0.3**2 + 0.05**2) / 0.3**2 - 1
    hits = 0
    for seed in range(120):
        found = significance.compare(scorer, *figures(seed, 200, 0.0))
        hits += (found.low or 0) <= true <= (found.high or 0)
    assert 105 <= hits <= 120


def test_figures_that_no_sample_has_are_resampled_together() -> None:
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, 300)
    strong = (labels + random.normal(size=300) * 0.5)[:, None]
    weak = (labels + random.normal(size=300) * 2.0)[:, None]
    scorer = metrics.load("auc")
    found = significance.compare(scorer, Answers("first", [strong]), Answers("first", [weak]), labels)
    assert found.method == "bootstrap" and found.clear and found.drop > 0.1
    assert found.low is not None and found.high is not None and found.low < found.drop < found.high


def test_what_cannot_be_stated_is_left_out() -> None:
    scorer = metrics.load("auc")
    labels = np.array([0, 1] + [0] * 4)
    few = Answers("first", [np.arange(6.0)[:, None]])
    found = significance.compare(scorer, few, few, labels)
    assert (found.drop, found.low, found.high, found.p, found.method) == (0, None, None, None, "")
    perfect = Answers("first", [np.zeros((50, 1))])
    nothing = significance.compare(metrics.load("mse"), perfect, perfect, np.zeros((50, 1)))
    assert (nothing.drop, nothing.low, nothing.high) == (0, 0, 0)
    worse = significance.compare(
        metrics.load("mse"), perfect, Answers("first", [np.ones((50, 1))]), np.zeros((50, 1))
    )
    assert worse.drop == worse.low == 1e9 and worse.clear
    with pytest.raises(DataError, match="auc is not defined"):
        significance.compare(scorer, few, few, np.zeros(6, int))
