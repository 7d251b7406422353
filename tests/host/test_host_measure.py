from __future__ import annotations

import random

import msgspec
import pytest

from edgewright.measure import statistics, validity
from edgewright.measure.threads import Threads, threads_to_run
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts
from edgewright.nouns.measurement import Environment, Run


def run(samples: list[float], release: str = "1-aaaaaaaa", number: int = 0) -> Run:
    return Run(
        release=release, round=number, import_ms=1.0, load_ms=2.0, first_ms=3.0, samples_ms=tuple(samples),
        baseline_kb=1000, peak_kb=2000, memory_method="vmhwm",
    )  # fmt: skip


def test_percentiles_are_withheld_below_the_least_samples() -> None:
    few = statistics.latency([run([1.0] * 10)])
    assert few.p50 is None
    assert few.p95 is None
    middle = statistics.latency([run([1.0] * 64)])
    assert middle.p90 == 1.0
    assert middle.p95 is None
    many = statistics.latency([run([float(n) for n in range(1, 131)])])
    assert many.p95 == 124.0  # nearest rank: ceil(0.95 * 130)
    assert many.p99 is None


def test_p50_is_the_median_of_the_runs_medians() -> None:
    runs = [run([1.0] * 100), run([2.0] * 10), run([9.0] * 1000)]
    assert statistics.latency(runs).p50 == 2.0


def test_the_interval_covers_the_true_median_and_is_repeatable() -> None:
    chance = random.Random(1)
    covered = 0
    for _ in range(40):
        runs = [run([chance.lognormvariate(0.0, 0.2) for _ in range(100)]) for _ in range(5)]
        figures = statistics.latency(runs)
        assert figures == statistics.latency(runs)
        assert figures.p50_low is not None and figures.p50_high is not None
        covered += figures.p50_low <= 1.0 <= figures.p50_high
    assert covered >= 34  # a true 95 % interval falls below that in about one of 500 such tests


def test_runs_without_samples_are_no_measurement() -> None:
    with pytest.raises(ValueError, match="no samples"):
        statistics.latency([run([])])


CALM = Environment(
    throttled=False,
    throttled_flags=0,
    temperature_c=50.0,
    governor="performance",
    load1=0.1,
    cpus=4,
    swap_in_pages=7,
)


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ({"throttled": True}, "throttled"),
        ({"throttled_flags": 0x40000}, "throttled at some moment"),
        ({"swap_in_pages": 8}, "swapping: 1 pages"),
        ({"contention": 0.95}, "contention"),
    ],
)
def test_what_invalidates(after: dict[str, object], reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import msgspec

    monkeypatch.setattr(validity, "CONTENTION_INVALID", 0.9)

    changed = msgspec.structs.replace(CALM, **after)
    runs = [run([1.0] * 200)]
    assert validity.invalid(runs, CALM, CALM) == []
    reasons = validity.invalid(runs, CALM, changed)
    assert len(reasons) == 1
    assert reason in reasons[0]


def test_a_sticky_flag_of_before_does_not_invalidate() -> None:
    import msgspec

    old = msgspec.structs.replace(CALM, throttled_flags=0x50000)
    assert validity.invalid([run([1.0] * 200)], old, old) == []


def test_too_few_samples_invalidate_and_unknowns_are_caveats() -> None:
    assert "too few samples: 3" in validity.invalid([run([1.0] * 3)], CALM, CALM)[0]
    notes = validity.caveats(
        [run([1.0] * 20), run([2.0] * 20)], Environment(governor="ondemand"), Environment(), None
    )
    text = "; ".join(notes)
    assert "governor: ondemand" in text
    assert "temperature unknown" in text
    assert "no p95" in text
    assert "differ by 100%" in text


def test_the_ratio_of_two_releases_has_an_interval_around_it() -> None:
    chance = random.Random(3)

    def runs(middle: float) -> list[Run]:
        return [
            run([middle * chance.lognormvariate(0.0, 0.1) for _ in range(60)], number=n) for n in range(4)
        ]

    found = statistics.ratio(runs(2.0), runs(1.0))
    assert found is not None and found.low < found.value < found.high
    assert found.low > 1.8 and found.high < 2.2
    same = statistics.ratio(runs(1.0), runs(1.0))
    assert same is not None and same.low < 1.0 < same.high
    assert statistics.ratio([run([1.0] * 5)], [run([1.0] * 50)]) is None


def test_a_slow_round_of_both_leaves_their_ratio_alone() -> None:
    slow = [1.0, 1.0, 5.0, 1.0]
    mine = [run([2.0 * scale] * 20, number=n) for n, scale in enumerate(slow)]
    theirs = [run([scale] * 20, number=n) for n, scale in enumerate(slow)]
    found = statistics.ratio(mine, theirs)
    assert found is not None and (found.low, found.value, found.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("threads", "took", "notes"),
    [
        (Threads(4, 4, 4), 4, []),
        (Threads(4, 4, None), 4, []),
        (Threads(2, 4, 2), 2, ["2 threads in place of 4: the board has 2 CPUs"]),
        (Threads(4, 4, 4), 1, ["1 thread in place of 4: the runtime took no more"]),
        (Threads(8, 8, 2), 8, ["8 threads on 2 CPUs"]),
    ],
)
def test_threads_that_were_reduced_or_have_no_cpus_are_caveats(
    threads: Threads, took: int, notes: list[str]
) -> None:
    runs = [msgspec.structs.replace(run([1.0] * 20), threads=took)]
    assert validity.caveats(runs, CALM, CALM, 1.0, threads) == notes


@pytest.mark.parametrize(
    ("profile", "facts", "given", "used"),
    [
        ("pi4b", Facts(cpus=8), None, 4),
        ("pi4b", Facts(cpus=2), None, 2),
        ("pi4b", Facts(cpus=2), 3, 3),
        ("", Facts(cpus=4, model="Raspberry Pi 5 Model B Rev 1.0"), None, 4),
        ("", Facts(cpus=4, arch="riscv64"), None, 1),
        ("deleted", Facts(cpus=4, arch="aarch64"), None, 1),
    ],
)
def test_threads_are_the_profiles_or_1_without_a_profile(
    profile: str, facts: Facts, given: int | None, used: int
) -> None:
    board = Board(name="b", address="local:", profile=profile or None)
    assert threads_to_run(board, facts, given) == used
