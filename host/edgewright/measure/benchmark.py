"""Benchmarks releases on a board through its agent, and turns raw samples into Measurements."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from sys import byteorder
from typing import Any

import msgspec

from edgewright.connect.session import Session
from edgewright.errors import BoardError, ProtocolError
from edgewright.measure import statistics, validity
from edgewright.nouns.measurement import Environment, Latency, Measurement, Protocol, Run
from edgewright.nouns.progress import Progress, Step, silent
from edgewright.store import samples

MAX_RUNS = 1000
SLOW_START = 10  # times a protocol's limit, for a board that spends all of that in importing its runtime


def benchmark(
    session: Session,
    model: str,
    releases: Sequence[str],
    protocol: Protocol,
    *,
    board: str,
    artifacts: dict[str, str],
    threads: int,
    accelerator: str | None,
    simulated: tuple[str, ...] = (),
    progress: Progress = silent,
) -> list[Measurement]:
    """Measures releases of one model, interleaved (A B A B) in one session.

    Args:
        releases: at most two make sense: the candidate and the incumbent.
        artifacts: release -> artifact id.

    Returns:
        A Measurement a release, in their order.
    """

    def say(event: dict[str, Any]) -> None:
        if event.get("event") == "progress":
            progress(Step(what="bench", board=board, detail=protocol.name,
                          done=event.get("done"), total=event.get("total")))  # fmt: skip

    def run(limit_s: float) -> dict[str, Any]:
        numbers = {key: value for key, value in msgspec.to_builtins(protocol).items() if key != "name"}
        return session.call(
            "bench", on_event=say, model=model, releases=list(releases), protocol=dict(numbers, limit_s=limit_s),
            threads=threads, accelerator=accelerator,
        )  # fmt: skip

    try:
        answer = run(protocol.limit_s)
    except BoardError as error:
        if error.code != "slow-start":
            raise
        progress(Step(what="bench", board=board, detail=f"{protocol.name}, with more time: it starts slowly"))
        answer = run(SLOW_START * protocol.limit_s)
    runs = [read_run(session, run) for run in bounded(answer.get("runs"))]
    before, after = environment(answer, "before"), environment(answer, "after")
    return [
        measurement(
            [run for run in runs if run.release == release], before, after,
            board=board, model=model, release=release, artifact=artifacts.get(release, ""),
            protocol=protocol.name, threads=threads, simulated=simulated,
        )
        for release in releases
    ]  # fmt: skip


def bounded(runs: Any) -> list[dict[str, Any]]:
    """The runs of an answer, after a look at their shape."""
    if not isinstance(runs, list) or len(runs) > MAX_RUNS:
        raise ProtocolError(
            "the board's benchmark has no list of runs", hint="update the agent: deploy again"
        )
    return runs


def read_run(session: Session, run: dict[str, Any]) -> Run:
    """One run with its raw samples fetched.

    Raises:
        ProtocolError: the board's answer is not a run.
    """
    fields = dict(run)
    taken = array("d")
    try:
        taken.frombytes(bytes(session.get(fields.pop("samples"))))
        fields.pop("count", None)
        if byteorder == "big":
            taken.byteswap()
        return msgspec.convert({**fields, "samples_ms": taken.tolist()}, Run)
    except (msgspec.ValidationError, KeyError, ValueError, TypeError) as error:
        raise ProtocolError(f"the board's benchmark is not understood: {error}") from error


def environment(answer: dict[str, Any], key: str) -> Environment:
    """The board's environment before or after."""
    try:
        return msgspec.convert(answer.get(key) or {}, Environment)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"the board's environment is not understood: {error}") from error


NOTHING = Latency(
    n=0, runs=0, p50=None, p50_low=None, p50_high=None, p90=None, p95=None, p99=None,
    mean=0.0, minimum=0.0, maximum=0.0, load_ms=0.0, first_ms=0.0,
)  # fmt: skip


def measurement(
    runs: Sequence[Run],
    before: Environment,
    after: Environment,
    *,
    board: str,
    model: str,
    release: str,
    artifact: str,
    protocol: str,
    threads: int,
    simulated: tuple[str, ...],
) -> Measurement:
    """The Measurement of one release's runs."""
    figures = statistics.latency(runs) if any(run.samples_ms for run in runs) else NOTHING
    peaks = [run.peak_kb for run in runs if run.peak_kb >= 0]
    last = runs[-1] if runs else None
    return Measurement(
        board=board,
        model=model,
        release=release,
        artifact=artifact,
        protocol=protocol,
        latency=figures,
        peak_rss_mb=max(peaks) / 1024 if peaks else None,
        memory_method=last.memory_method if last else "",
        accelerator=last.accelerator if last else "",
        runtime=last.runtime if last else "",
        threads=last.threads or threads if last else threads,
        invalid=tuple(validity.invalid(runs, before, after)),
        caveats=tuple(validity.caveats(runs, before, after, figures.p95)),
        before=before,
        after=after,
        medians_ms=tuple(statistics.median(run.samples_ms) for run in runs if run.samples_ms),
        samples=samples.keep(runs),
        simulated=simulated,
    )
