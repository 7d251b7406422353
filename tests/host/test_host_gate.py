from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edgewright.cli.views import boards
from edgewright.deployments import gate, golden_words
from edgewright.errors import ProtocolError
from edgewright.measure.benchmark import Compiled, measurement
from edgewright.measure.threads import Threads
from edgewright.metrics import METRICS
from edgewright.nouns.artifact import Goldens, Manifest, Parity, Source, TensorSpec
from edgewright.nouns.comparison import Comparison
from edgewright.nouns.measurement import Environment, Measurement, Run
from edgewright.nouns.outcome import BoardOutcome, Check, exit_code
from edgewright.nouns.project import Budget
from edgewright.nouns.verdict import Limits, OutputVerdict
from edgewright.precisions import PRECISIONS
from edgewright.wire import commands
from edgewright.wire.answers import Verdict


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
        compiled=Compiled("0" * 64, "tflite", "int8"),
        protocol="quick",
        threads=Threads(1, 1, 4),
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
        ({"model_memory_mb": 1.0}, "peak memory"),
        ({"peak_process_mb": 1.0}, "peak process memory"),
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


def test_a_slowdown_of_some_microseconds_is_no_reason_to_refuse() -> None:
    """Of a model that takes one, it is the call that is measured."""
    assert refusal(measured(0.0018), measured(0.0009)) == ""
    assert refusal(measured(0.0109), measured(0.001), max_slowdown=0.0) == ""
    assert "incumbent" in refusal(measured(0.0121), measured(0.002))


def test_an_invalid_measurement_blocks_and_an_invalid_incumbent_does_not() -> None:
    assert "throttled" in refusal(measured(1.0, invalid=("throttled: now",)))
    assert refusal(measured(14.0), measured(10.0, invalid=("throttled",))) == ""


def test_a_limit_on_what_is_unknown_refuses() -> None:
    candidate = msgspec.structs.replace(measured(1.0), model_memory_mb=None, peak_process_mb=None)
    assert "peak memory" in refusal(candidate, peak_rss_mb=10.0)
    assert "peak process memory" in refusal(candidate, peak_process_mb=10.0)


def test_the_process_and_the_models_share_of_it_are_two_figures() -> None:
    candidate = measured(1.0)
    assert candidate.peak_process_mb is not None and candidate.model_memory_mb is not None
    assert candidate.peak_process_mb > candidate.model_memory_mb == candidate.peak_rss_mb
    between = (candidate.peak_process_mb + candidate.model_memory_mb) / 2
    assert "the model's share" in refusal(candidate, model_memory_mb=candidate.model_memory_mb / 2)
    assert refusal(candidate, model_memory_mb=between) == refusal(candidate, peak_rss_mb=between) == ""
    assert "peak process memory" in refusal(candidate, peak_process_mb=between)


def test_a_limit_by_its_old_name_replaces_the_projects() -> None:
    assert Budget(peak_rss_mb=9.0).over(Budget(model_memory_mb=1.0)) == Budget(peak_rss_mb=9.0)
    assert Budget(model_memory_mb=9.0).over(Budget(model_memory_mb=1.0, p50_ms=2.0)) == Budget(
        model_memory_mb=9.0, p50_ms=2.0
    )


def test_budgets_without_the_new_keys_are_encoded_as_before() -> None:
    assert b"memory" not in msgspec.json.encode(Budget()) and b"process" not in msgspec.json.encode(Budget())


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
    right = gate.answers(judged(ok=True, sqnr_db=50.0, by_output=[]), manifest())
    assert right == Check(name="answers", ok=True, value=50.0, unit="dB")
    assert "golden" in gate.refusal([gate.answers(judged(sqnr_db=-3.0, by_output=[]), manifest())])


def manifest(*limits: Limits) -> Manifest:
    """One with outputs `boxes`, `scores` and so on, as many as limits."""
    names = ["boxes", "scores", "labels"][: len(limits) or 1]
    spec = {"shape": (2, 20), "dtype": "float32"}
    return Manifest(
        schema=2 if limits else 1, target="tflite", precision="int8", entry="m", files=(), inputs=(),
        outputs=tuple(TensorSpec(name=name, **spec) for name in names), source=Source(format="onnx", file="m", sha256=""),
        goldens=Goldens(file="g", count=16, origin="calibration", framework="", tolerance=PRECISIONS["int8"].tolerance),
        parity=Parity(max_abs=0, max_relative=0, cosine=1, sqnr_db=200, top1_agreement=1, count=16),
        verdict=tuple(OutputVerdict(limits=one) for one in limits),
    )  # fmt: skip


REAL = Limits(noise=1.0, error=1.0)
JUDGED = manifest(REAL, Limits(noise=1.0, error=1.0, apart=1e4), Limits(unequal=7))
FINE = {"sqnr_db": 30.0, "least_sqnr_db": 9.0, "relative": 0.1, "greatest_relative": 0.4}


def judged(**more: Any) -> Verdict:
    rows = [FINE] * 3
    kept = {"ok": False, "sqnr_db": 3.0, "goldens": 16, "lost": [], "wrong": [], "low": [], "by_output": rows}
    return commands.Verify(model="m", release="1-00000000", txn="0" * 32).read({**VERIFIED, **kept, **more})


VERIFIED = {
    "relative": 0.1, "failed": [], "runtime": "x 1", "accelerator": "cpu", "outputs": {"result": "1-x", "sha256": "0" * 64, "size": 1},
}  # fmt: skip


def test_lost_slices_are_named() -> None:
    lost = [
        {"output": 1, "axis": 1, "index": 17},
        {"output": 1, "axis": 1, "index": 3},
        {"output": 0, "axis": 0, "index": 1},
    ]
    text = gate.refusal([gate.answers(judged(lost=lost), JUDGED)])
    assert "`scores` does not follow its source at index 17, 3 of axis 1" in text
    assert "`boxes` does not follow its source at index 1 of axis 0" in text and "elsewhere" not in text
    check = gate.answers(judged(lost=lost[2:] * 16, low=[0], compared=4), JUDGED)
    assert "and maybe elsewhere" in check.note and "seen after 4 of 16 goldens" in check.note
    assert (
        check.limit is None and "`boxes` is less exact" in check.note
    )  # a lost slice is no matter of exactness


def test_wrong_outputs_are_named_with_what_is_wrong() -> None:
    check = gate.answers(judged(wrong=[0, 1, 2]), JUDGED)
    boxes, scores, labels = check.note.split(": ", 1)[1].split("; ")
    assert boxes == "`boxes` has values that are not finite" and "very large" in scores
    assert labels == "`labels` differs from its source in more than 7 values" and not check.ok
    noise, broken = {**FINE, "sqnr_db": -2.31}, {**FINE, "sqnr_db": -200.0}
    check = gate.answers(judged(wrong=[0, 1], by_output=[noise, broken, FINE]), JUDGED)
    assert "`boxes` does not follow its source: -2.3 dB; `scores` has values that" in check.note


@pytest.mark.parametrize("ok", [True, False])
def test_what_is_less_exact_comes_with_both_figures(ok: bool) -> None:
    noisy = {**FINE, "sqnr_db": 4.0}
    check = gate.answers(judged(ok=ok, low=[1], by_output=[FINE, noisy, FINE]), JUDGED)
    assert (check.ok, check.value, check.limit, check.unit) == (ok, 4.0, 9.0, "dB")
    assert (
        gate.describe(check).startswith("answers: 4 dB, the limit is 9 (")
        and "`scores` is less exact" in check.note
    )
    noisier = {**FINE, "sqnr_db": -1.0}
    check = gate.answers(judged(ok=ok, low=[0, 1], by_output=[noisier, noisy, FINE]), JUDGED)
    assert (check.value, check.limit) == (-1.0, 9.0) and "`boxes`, `scores` are less exact" in check.note
    far = {**FINE, "relative": 0.6}
    check = gate.answers(judged(ok=ok, low=[0], by_output=[far, FINE, FINE]), JUDGED)
    assert (check.value, check.limit, check.unit) == (0.6, 0.4, "of the greatest value")


def test_a_hint_fits_the_cause() -> None:
    assert "--evaluation" in golden_words.hint(judged(low=[0]), JUDGED)
    lost = [{"output": 0, "axis": 0, "index": 0}]
    for more in ({"low": [0], "lost": lost}, {"low": [0], "wrong": [1]}, {}):
        assert "--evaluation" not in golden_words.hint(judged(**more), JUDGED)


def test_saturated_sums_are_named_where_they_may_be_the_cause() -> None:
    for target, precision, arch, named in (
        ("openvino", "int8", "x86_64", True),
        ("openvino", "int8", "aarch64", False),
        ("openvino", "int8-dynamic", "x86_64", False),
        ("onnxruntime", "int8", "x86_64", False),
    ):
        about = msgspec.structs.replace(JUDGED, target=target, precision=precision)
        assert ("without VNNI" in golden_words.hint(judged(low=[0]), about, arch)) is named


def test_a_board_that_lies_is_no_bug() -> None:
    lost = [{"output": 99, "axis": 30, "index": 10**6}]
    for ok in (True, False):
        check = gate.answers(judged(ok=ok, lost=lost, wrong=[98, 99], by_output=[]), JUDGED)
        assert not check.ok and "output 99" in check.note and "output 98" in check.note
    assert not gate.answers(judged(ok=True, lost=lost), JUDGED).ok
    assert not gate.answers(judged(ok=True, wrong=[0]), JUDGED).ok
    bare = {"sqnr_db": 3.0, "relative": 0.1}
    for more in (
        {"low": [0], "by_output": []},
        {"low": [0], "by_output": [FINE] * 4},
        {"low": [0], "by_output": [bare, FINE, FINE]},
        {"low": [-1]},
        {"low": [7]},
        {"low": [0] * 4},
        {"wrong": [0] * 4},
        {"lost": lost * 17},
    ):
        with pytest.raises(ProtocolError, match=r"does not fit|is not valid"):
            gate.answers(judged(ok=True, **more), JUDGED)
    for more in (
        {"lost": [7]},
        {"lost": [{"output": 0}]},
        {"wrong": ["0"]},
        {"low": 0},
        {"by_output": [{}]},
        {"compared": "1"},
    ):
        with pytest.raises(ProtocolError):
            judged(**more)


def test_less_exact_answers_pass_by_an_accuracy_that_was_compared_alone() -> None:
    low = Check(name="answers", ok=True, value=4.0, limit=9.0, unit="dB", note="x")
    compared = Check(name="accuracy against its source", ok=True, value=0.0, limit=0.02)
    alone = Check(name="accuracy", ok=True, value=0.9, note="nothing to compare it with")
    assert gate.unvouched([low, compared]) == gate.unvouched([compared]) == gate.unvouched([alone]) == []
    incumbent = Check(
        name="accuracy against the incumbent", ok=True, value=0.0, limit=0.02
    )  # it may be as bad
    assert gate.unvouched([low, compared, incumbent]) == []
    for others in ([alone], [incumbent], []):
        (refused,) = gate.unvouched([low, *others])
        assert not refused.ok and "4 dB, the limit is 9" in gate.refusal([refused])


@pytest.mark.parametrize(
    ("kinds", "code"),
    [
        (["committed", "unchanged"], 0), (["staged", "planned"], 0), (["committed", "refused"], 2), (["committed", "unreachable"], 4),
        (["failed", "unreachable"], 2), (["unknown"], 2), (["reverted", "committed"], 2), (["aborted", "committed"], 8),
    ],
)  # fmt: skip
def test_exit_codes(kinds: list[str], code: int) -> None:
    assert exit_code([BoardOutcome(board=str(n), outcome=kind) for n, kind in enumerate(kinds)]) == code


def test_the_accuracy_of_a_board_is_read_from_a_figure() -> None:
    def column(*checks: Check) -> str:
        return boards.accuracy(BoardOutcome(board="b", outcome="committed", checks=checks))

    against = gate.accuracy(METRICS["top1"], "its source", drop(0.98, 0.978, high=0.03), Budget())
    assert (against.metric, against.measured, against.reference) == ("top1", 0.978, 0.98)
    assert (
        column(Check(name="p50", ok=True, value=1.0), msgspec.structs.replace(against, note="?")) == "97.8%"
    )
    own = Check(name="accuracy", ok=True, metric="metric.py:wape", measured=0.43212)
    assert column(own) == "0.4321" and column() == "-"
