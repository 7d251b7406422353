"""`history show` explains a refusal from the history alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from command_line import command_line

from edgewright.nouns.measurement import Latency, Measurement, Ratio
from edgewright.nouns.outcome import BoardOutcome, Check
from edgewright.store.history import History

LATENCY = Latency(
    n=40, runs=2, p50=21.0, p50_low=20.0, p50_high=22.0, p90=None, p95=None, p99=None,
    mean=21.0, minimum=19.0, maximum=30.0, load_ms=5.0, first_ms=30.0,
)  # fmt: skip
MEASURED = Measurement(
    board="kitchen", model="digits", release="2-bbbbbbbb", artifact="b" * 64, protocol="quick", latency=LATENCY,
    peak_rss_mb=8.0, peak_process_mb=43.0, model_memory_mb=8.0, memory_method="VmHWM", accelerator="cpu",
    runtime="onnxruntime 1.32.0", threads=2, target="onnxruntime", precision="int8",
    caveats=("8 threads on 2 CPUs",),
)  # fmt: skip
BEFORE = msgspec.structs.replace(
    MEASURED, release="1-aaaaaaaa", target="tflite",
    ratio=Ratio(reference="2-bbbbbbbb", value=0.5, low=0.4, high=0.6),
)  # fmt: skip
REFUSED = BoardOutcome(
    board="kitchen", outcome="refused", model="digits", release="2-bbbbbbbb", current="1-aaaaaaaa", target="onnxruntime",
    precision="int8", artifact="b" * 64, runtime="onnxruntime 1.32.0", deployment="0123456789ab",
    message="p50: 21 ms, the limit is 10", hint="`current` stays 1-aaaaaaaa; see the checks with --json",
    steps=("upload", "install 2-bbbbbbbb", "verify 16 goldens", "bench quick"), measurement=MEASURED, incumbent=BEFORE,
    checks=(
        Check(name="answers", ok=True), Check(name="p50", ok=False, value=21.0, limit=10.0, unit="ms"),
        Check(name="accuracy against its source", ok=True, value=0.004, limit=0.02, unit="drop", metric="top1", measured=0.98),
    ),
)  # fmt: skip


@pytest.fixture
def number(home: Path) -> int:
    """Makes a history of two events; returns the id of the refusal."""
    history = History()
    history.record("deploy", "f", "1", [msgspec.structs.replace(REFUSED, outcome="committed", deployment="")])
    history.record("deploy", "f", "2", [REFUSED])
    return int(history.events()[0]["id"])


@pytest.mark.parametrize("by", ["event", "deployment"])
def test_a_refusal_is_told_with_its_checks_and_measurements(number: int, by: str) -> None:
    shown = command_line("history", "show", number if by == "event" else REFUSED.deployment)
    assert shown.code == 0, shown.err
    for text in (
        "deploy of digits", "refused", "onnxruntime int8", "verify 16 goldens", "why: p50: 21 ms, the limit is 10",
        "0.4 points", "2 points", "FAILED", "43", "8", "1-aaaaaaaa takes 0.50 times as long as 2-bbbbbbbb",
        "it is faster", "8 threads on 2 CPUs", "kitchen ran 1-aaaaaaaa afterwards",
        "change the model or the budget, and deploy it again",
    ):  # fmt: skip
        assert text in shown.out, (text, shown.out)
    assert "--json" not in shown.out and shown.out.count("p50: 21 ms") == 1


def test_the_list_names_the_refusal_and_its_document_is_whole(number: int) -> None:
    listed = command_line("history")
    assert f"`edgewright history show {number}`" in listed.err
    (event,) = command_line("history", "show", number, "--json").json["events"]
    assert event["id"] == number and event["document"]["checks"][1]["name"] == "p50"


def test_what_the_history_does_not_have_is_one_line(number: int) -> None:
    for word in ("999", "ffffffffffff", "1; drop"):
        missing = command_line("history", "show", word)
        assert missing.code != 0 and f"the history has no {word}" in missing.err and "hint:" in missing.err
    misplaced = command_line("history", "--model", "m", "show", number)
    assert misplaced.code == 64 and "--model belongs to the list" in misplaced.err
