from __future__ import annotations

import msgspec
import pytest

from edgewright.deploy import gate
from edgewright.measure.benchmark import measurement
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.measurement import Environment, Measurement, Run
from edgewright.nouns.metric import METRICS
from edgewright.nouns.outcome import BoardOutcome, exit_code
from edgewright.nouns.project import Budget


def measured(
    p50: float, *, peak_kb: int = 2048, invalid: tuple[str, ...] = (), spread: float = 0.01
) -> Measurement:
    samples = tuple(p50 * (1 + spread * (n % 5 - 2)) for n in range(200))
    runs = [
        Run(
            release="1-aaaaaaaa",
            round=n,
            import_ms=1,
            load_ms=1,
            first_ms=1,
            samples_ms=samples,
            baseline_kb=1,
            peak_kb=peak_kb,
            memory_method="vmhwm",
        )
        for n in range(2)
    ]
    made = measurement(
        runs,
        Environment(),
        Environment(),
        board="b",
        model="m",
        release="1-aaaaaaaa",
        artifact="",
        protocol="quick",
        threads=1,
        simulated=(),
    )
    return msgspec.structs.replace(made, invalid=invalid)


def refusal(
    candidate: Measurement, incumbent: Measurement | None = None, size: int = 1024**2, **budget: object
) -> str:
    return gate.refusal(gate.performance(candidate, incumbent, size, Budget(**budget)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("budget", "word"),
    [
        ({"p50_ms": 9.0}, "p50"),
        ({"p95_ms": 9.0}, "p95"),
        ({"peak_rss_mb": 1.0}, "peak memory"),
        ({"size_mb": 0.5}, "size"),
        ({"accelerator": "gpu"}, "accelerator"),
    ],
)
def test_each_budget_refuses_what_exceeds_it_and_passes_what_does_not(
    budget: dict[str, object], word: str
) -> None:
    assert word in refusal(measured(10.0), **budget)
    roomy = {key: 1000.0 if isinstance(value, float) else "cpu" for key, value in budget.items()}
    candidate = msgspec.structs.replace(measured(10.0), accelerator="cpu")
    assert refusal(candidate, **roomy) == ""


def test_slower_than_the_incumbent_is_refused_beyond_the_limit_only() -> None:
    assert "incumbent" in refusal(measured(14.0), measured(10.0))
    assert refusal(measured(12.0), measured(10.0)) == ""
    assert "incumbent" in refusal(measured(12.0), measured(10.0), max_slowdown=0.1)
    assert refusal(measured(14.0), measured(10.0), max_slowdown=0.5) == ""


def test_an_invalid_measurement_blocks_and_an_invalid_incumbent_does_not() -> None:
    assert "throttled" in refusal(measured(1.0, invalid=("throttled: now",)))
    assert refusal(measured(14.0), measured(10.0, invalid=("throttled",))) == ""


def test_a_limit_on_what_is_unknown_refuses() -> None:
    candidate = msgspec.structs.replace(measured(1.0), peak_rss_mb=None)
    assert "peak memory" in refusal(candidate, peak_rss_mb=10.0)


def drop(reference: float, value: float, high: float | None = None, metric: str = "top1") -> Comparison:
    found = METRICS[metric].drop(reference, value)
    low = None if high is None else 2 * found - high
    return Comparison(
        metric=metric, n=450, reference=reference, value=value, drop=found, low=low, high=high, p=0.1
    )


def refused(found: Comparison, **budget: object) -> str:
    metric = METRICS[found.metric]
    return gate.refusal([gate.accuracy(metric, "the incumbent", found, Budget(**budget))])  # type: ignore[arg-type]


def test_the_drop_that_was_seen_decides_exactly_at_the_limit() -> None:
    assert refused(drop(0.81, 0.80)) == ""
    assert "accuracy against the incumbent" in refused(drop(0.98, 0.80))
    assert refused(drop(0.98, 0.97), max_drop=0.01) == ""
    assert refused(drop(0.98, 0.9699), max_drop=0.01) != ""
    assert refused(drop(0.5, 0.99), max_drop=0.0) == ""
    assert refused(drop(0.98, float("nan"))) != ""


def test_noninferiority_wants_the_whole_interval_below_the_limit() -> None:
    assert refused(drop(0.98, 0.98, high=0.03)) == ""
    assert refused(drop(0.98, 0.98, high=0.03), noninferior=True) != ""
    assert refused(drop(0.98, 0.98, high=0.019), noninferior=True) == ""
    assert "not proven" in refused(drop(0.98, 0.98), noninferior=True)


def test_an_error_may_rise_by_a_share_of_the_references() -> None:
    assert refused(drop(10.0, 10.1, metric="mse")) == ""
    assert refused(drop(10.0, 10.3, metric="mse")) != ""
    assert refused(drop(0.001, 0.00102, metric="mae")) == ""
    assert refused(drop(0.0, 0.0, metric="mae")) == ""
    assert refused(drop(0.0, 1e-9, metric="mae")) != ""
    assert refused(drop(5.0, 1.0, metric="mse"), max_drop=0.0) == ""


def test_the_gate_says_how_sure_it_is() -> None:
    metric = METRICS["top1"]
    unsure = gate.accuracy(metric, "its source", drop(0.98, 0.978, high=0.03), Budget())
    assert (unsure.n, unsure.value, unsure.high, unsure.p) == (450, pytest.approx(0.002), 0.03, 0.1)
    assert "no difference is proven; too few samples to rule out a drop beyond 2 points" in unsure.note
    assert "97.8% here, 98.0% there, 450 samples" in unsure.note
    assert "it is worse" in gate.accuracy(metric, "its source", drop(0.9, 0.8, high=0.12), Budget()).note
    assert "it is better" in gate.accuracy(metric, "its source", drop(0.8, 0.9, high=-0.05), Budget()).note


def test_wrong_answers_refuse() -> None:
    assert gate.answers({"ok": True, "sqnr_db": 50.0}).ok
    assert "golden" in gate.refusal([gate.answers({"ok": False, "sqnr_db": -3.0})])
    assert not gate.answers({}).ok


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        (["committed", "unchanged"], 0), (["staged", "planned"], 0), (["committed", "refused"], 2), (["committed", "unreachable"], 4),
        (["failed", "unreachable"], 2), (["unknown"], 2), (["reverted", "committed"], 2), (["aborted", "committed"], 8),
    ],
)  # fmt: skip
def test_exit_codes(kinds: list[str], code: int) -> None:
    assert exit_code([BoardOutcome(board=str(n), outcome=kind) for n, kind in enumerate(kinds)]) == code
