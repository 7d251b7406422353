from __future__ import annotations

import msgspec
import pytest

from edgewright.deploy import gate
from edgewright.measure.benchmark import measurement
from edgewright.nouns.measurement import Environment, Measurement, Run
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


def test_accuracy_is_held_against_source_and_incumbent() -> None:
    checks = gate.accuracy(0.80, 450, source=0.81, incumbent=0.98, budget=Budget())
    assert [check.ok for check in checks] == [True, False]
    assert "incumbent" in gate.refusal(checks)
    assert (
        gate.refusal(gate.accuracy(0.97, 100, source=0.98, incumbent=None, budget=Budget(max_drop=0.01)))
        == ""
    )
    assert (
        gate.refusal(gate.accuracy(0.96, 100, source=0.98, incumbent=None, budget=Budget(max_drop=0.01)))
        != ""
    )
    assert (
        gate.refusal(gate.accuracy(0.99, 100, source=None, incumbent=0.5, budget=Budget(max_drop=0.0))) == ""
    )


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
