"""Benchmarks releases on a board through its agent, and turns raw samples into Measurements."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from sys import byteorder

from edgewright.connect.session import Session
from edgewright.errors import BoardError, Code, ProtocolError
from edgewright.measure import statistics, validity
from edgewright.nouns.measurement import STANDARD, Environment, Latency, Measurement, Protocol, Run
from edgewright.nouns.progress import Progress, Step, silent
from edgewright.store import samples
from edgewright.wire import commands, types
from edgewright.wire.answers import Benched, BenchRun, Event

TOO_SLOW = "the board is too slow for this model or its runtime: close other programs there, or convert for another target"
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

    def say(event: Event) -> None:
        if event.event == "progress":
            detail = protocol.name
            progress(Step(what="bench", board=board, detail=detail, done=event.done, total=event.total))

    def run(limit_s: float) -> Benched:
        how = types.Protocol(
            rounds=protocol.rounds, warmup_s=protocol.warmup_s, steady_s=protocol.steady_s,
            min_samples=protocol.min_samples, limit_s=limit_s,
        )  # fmt: skip
        command = commands.Bench(
            model=model, releases=tuple(releases), protocol=how, threads=threads, accelerator=accelerator
        )
        return session.call(command, on_event=say)

    try:
        answer = run(protocol.limit_s)
    except BoardError as error:
        if error.code != Code.SLOW_START:
            raise
        progress(Step(what="bench", board=board, detail=f"{protocol.name}, with more time: it starts slowly"))
        try:
            answer = run(SLOW_START * protocol.limit_s)
        except BoardError as again:
            if again.code != Code.SLOW_START or protocol.name != STANDARD.name:
                raise
            raise BoardError(again.message, hint=TOO_SLOW, code=again.code) from again
    runs = [read_run(session, run) for run in answer.runs]
    return [
        measurement(
            [run for run in runs if run.release == release], answer.before, answer.after,
            board=board, model=model, release=release, artifact=artifacts.get(release, ""),
            protocol=protocol.name, threads=threads, simulated=simulated,
        )
        for release in releases
    ]  # fmt: skip


def read_run(session: Session, run: BenchRun) -> Run:
    """One run with its raw samples fetched.

    Raises:
        ProtocolError: they are no samples.
    """
    taken = array("d")
    try:
        taken.frombytes(bytes(session.get(run.samples)))
    except ValueError as error:
        raise ProtocolError(f"the samples of the board's benchmark are not valid: {error}") from error
    if byteorder == "big":
        taken.byteswap()
    return Run(
        release=run.release, round=run.round, import_ms=run.import_ms, load_ms=run.load_ms, first_ms=run.first_ms,
        samples_ms=tuple(taken), baseline_kb=run.baseline_kb, peak_kb=run.peak_kb, memory_method=run.memory_method,
        accelerator=run.accelerator, runtime=run.runtime, threads=run.threads,
    )  # fmt: skip


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
