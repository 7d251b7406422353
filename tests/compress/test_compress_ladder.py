"""The ladder of `optimize`: its order, budgets, and which candidates no other one beats."""

from __future__ import annotations

import msgspec
import pytest

from edgewright.errors import UsageError
from edgewright.measure.search.engine import Limits, Move, SearchResult, Trial, Verdict, search
from edgewright.nouns.optimization import OptimizeBudget
from edgewright.optimize.ladder import Choices, Kind, moves
from edgewright.optimize.search import front
from edgewright.optimize.verdict import verdict_of

KINDS = (Kind(target="tflite", precision="fp32"), Kind(target="tflite", precision="int8"))
SIZES = {
    "channels -25%, tflite fp32": 2.0,
    "qat, tflite int8": 1.0, "equalise, correct-bias, tflite int8": 1.0,
    "tflite fp32": 4.0, "tflite int8": 1.0, "channels -25%, tflite int8": 0.6, "channels -50%, tflite int8": 0.3,
    "channels -75%, tflite int8": 0.1, "channels -50%, distill, qat, tflite int8": 0.3,
}  # fmt: skip
INTEGERS = "qat, tflite int8"
LABEL_FREE = "equalise, correct-bias, tflite int8"
RECOVERED = "channels -50%, distill, qat, tflite int8"


def climbed(
    limit: OptimizeBudget,
    drops: dict[str, float] | None = None,
    *,
    training: bool = True,
    label_free: bool = True,
    macs: float | None = None,
    refused: dict[str, str] | None = None,
    p95: float | None = None,
) -> SearchResult:
    """A search whose candidates have the sizes above and these drops."""

    def judge(move: Move) -> Verdict:
        code = (refused or {}).get(move.label, "")
        if code:
            return Verdict(ok=False, rank=(-1e9,), why="refused", code=code)
        figures: dict[str, float | None] = {
            "size_mb": SIZES[move.label], "drop": (drops or {}).get(move.label, 0.0), "p95_ms": p95,
            "macs": macs and (macs / 2 if "channels" in move.label else macs),
        }  # fmt: skip
        return verdict_of(move.label, figures, limit)

    choices = Choices(kinds=KINDS, label_free=label_free, training=training, channels=True, epochs=3)
    return search(moves(choices), judge, Limits())


def labels(found: SearchResult) -> list[str]:
    return [trial.move.label for trial in found.trials]


def test_what_costs_nothing_comes_first_and_is_enough() -> None:
    found = climbed(OptimizeBudget(size_mb=2.0))
    assert labels(found) == ["tflite fp32", "tflite int8"]
    assert found.best is not None and found.best.verdict.ok


def test_channels_go_until_it_is_small_enough() -> None:
    found = climbed(OptimizeBudget(size_mb=0.4))
    assert labels(found)[2:] == ["channels -25%, tflite int8", "channels -50%, tflite int8"]
    steps = found.trials[-1].move.settings["steps"]
    assert steps == [{"use": "prune-channels", "share": 0.5, "epochs": 3}]


@pytest.mark.parametrize(("drop", "ok"), [(0.01, True), (0.1, False)])
def test_what_is_small_enough_but_wrong_too_often_learns_again(drop: float, ok: bool) -> None:
    """And if that does not help, nothing smaller is tried: it would not be more accurate."""
    found = climbed(
        OptimizeBudget(size_mb=0.4, drop=0.05), {"channels -50%, tflite int8": 0.2, RECOVERED: drop}
    )
    assert labels(found)[-2:] == ["channels -50%, tflite int8", RECOVERED]
    assert found.best is not None
    assert (found.best.move.label, found.best.verdict.ok) == (RECOVERED, ok)


@pytest.mark.parametrize("code", ["", "parity"])
def test_integers_are_trained_for_before_channels_go(code: str) -> None:
    """If int8 misses only the drop, or is so unlike its source that it is refused, and recovery without labels is not enough."""
    drops = {"tflite int8": 0.2, LABEL_FREE: 0.1, INTEGERS: 0.01}
    found = climbed(OptimizeBudget(size_mb=2.0, drop=0.05), drops, refused={"tflite int8": code})
    assert labels(found) == ["tflite fp32", "tflite int8", LABEL_FREE, INTEGERS]
    assert found.best is not None and found.best.verdict.ok


@pytest.mark.parametrize("training", [True, False])
def test_recovery_without_labels_comes_before_training_and_needs_none(training: bool) -> None:
    drops = {"tflite int8": 0.2, LABEL_FREE: 0.01}
    found = climbed(OptimizeBudget(size_mb=2.0, drop=0.05), drops, training=training)
    assert labels(found)[-1] == LABEL_FREE
    assert found.best is not None and found.best.verdict.ok
    alone = climbed(OptimizeBudget(size_mb=2.0, drop=0.05), drops, training=training, label_free=False)
    assert LABEL_FREE not in labels(alone)


def test_other_precisions_are_left_out_if_only_multiplications_are_too_many() -> None:
    """No precision has fewer; but one may be faster, so a limit on latency has them tried."""
    assert labels(climbed(OptimizeBudget(macs=5e5), macs=6e5)) == [
        "tflite fp32",
        "channels -25%, tflite fp32",
    ]
    both = climbed(OptimizeBudget(macs=5e5, p95_ms=5.0), macs=6e5, p95=1.0)
    assert labels(both)[:2] == ["tflite fp32", "tflite int8"]


def test_what_was_not_measured_never_ranks_first() -> None:
    budget = OptimizeBudget(size_mb=2.0, p95_ms=5.0)
    unknown = verdict_of("a", {"size_mb": 1.0, "drop": 0.0, "p95_ms": None}, budget, "the board is busy")
    slow = verdict_of("b", {"size_mb": 1.0, "drop": 0.0, "p95_ms": 50.0}, budget)
    large = verdict_of("c", {"size_mb": 4.0, "drop": 0.0, "p95_ms": None}, budget)
    good = verdict_of("d", {"size_mb": 1.0, "drop": 0.0, "p95_ms": 4.0}, budget)
    assert [one.ok for one in (unknown, slow, large, good)] == [False, False, False, True]
    assert unknown.rank < slow.rank < large.rank
    assert (unknown.why, large.why) == ("the board is busy", "size 4 of 2 MiB")


def test_without_data_to_train_with_it_ends_at_the_precisions() -> None:
    assert labels(climbed(OptimizeBudget(size_mb=0.4), training=False)) == ["tflite fp32", "tflite int8"]


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("size=2MiB", OptimizeBudget(size_mb=2.0)),
        ("size=500KB, drop=1%", OptimizeBudget(size_mb=500e3 / 2**20, drop=0.01)),
        ("p95=20ms,macs=5M,drop=0.02", OptimizeBudget(p95_ms=20.0, macs=5e6, drop=0.02)),
        ("p95=500us,drop=0%", OptimizeBudget(p95_ms=0.5, drop=0.0)),
    ],
)
def test_a_budget_is_read(text: str, budget: OptimizeBudget) -> None:
    found = OptimizeBudget.of(text)
    for name in budget.__struct_fields__:
        assert getattr(found, name) == pytest.approx(getattr(budget, name)), name


@pytest.mark.parametrize(
    "text", ["", "size", "size=2", "size=0MB", "speed=1", "size=-1MB", "size=1MB,size=2MB", "p95=20MB"]
)
def test_a_wrong_budget_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        OptimizeBudget.of(text)
    assert "such as" in caught.value.hint


def test_a_missing_figure_breaks_its_limit() -> None:
    budget = OptimizeBudget(size_mb=1.0, macs=5e6)
    assert set(budget.broken({"size_mb": 0.5, "macs": None})) == {"macs"}
    assert budget.broken({"size_mb": 2.0, "macs": 5e6}) == {"size_mb": 2.0}


def test_the_front_goes_by_intervals() -> None:
    """A drop beats another only if their intervals do not overlap."""
    found = climbed(OptimizeBudget(size_mb=0.05))

    def with_drop(label: str, low: float, high: float) -> Trial:
        trial = next(one for one in found.trials if one.move.label == label)
        figures = trial.verdict.figures | {"drop_low": low, "drop_high": high}
        return msgspec.structs.replace(trial, verdict=msgspec.structs.replace(trial.verdict, figures=figures))

    exact, same = with_drop("tflite fp32", -0.01, 0.01), with_drop("tflite int8", -0.01, 0.02)
    worse = with_drop("channels -25%, tflite int8", 0.05, 0.09)
    smaller = with_drop("channels -50%, tflite int8", 0.04, 0.08)
    assert front([exact, same, worse, smaller]) == ("tflite int8", "channels -50%, tflite int8")
