"""Benchmarks releases on a board through its agent, and turns raw samples into Measurements."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from sys import byteorder
from typing import BinaryIO, NamedTuple

from edgewright.connect.session import Session
from edgewright.errors import BoardError, Code, ProtocolError
from edgewright.measure import statistics, validity
from edgewright.measure.threads import Threads
from edgewright.nouns.measurement import STANDARD, Environment, Latency, Measurement, Protocol, Ratio, Run
from edgewright.nouns.progress import Progress, ProgressEvent, silent
from edgewright.store import samples
from edgewright.wire import commands, types
from edgewright.wire.answers import Benched, BenchRun, Event
from edgewright.wire.caps import KEPT_SAMPLES, SAMPLES
from edgewright.wire.commands import READ

TOO_SLOW = "the board is too slow for this model or its runtime: close other programs there, or convert for another target"
FASTEST_S = 1e-7  # the loop around an inference takes longer, whatever the model
LONGEST_MS = 86_400_000.0  # of one inference, and of a run: a day
SAMPLE_BYTES = 8
BLOCK = 1000  # samples
MORE_SAMPLES = 1000  # a run ends behind a whole pass over the goldens
SLOW_START = 10  # times a protocol's limit, for a board that spends all of that importing its runtime


class Compiled(NamedTuple):
    """What a release holds; each is empty where it is unknown."""

    artifact: str = ""
    target: str = ""
    precision: str = ""


def benchmark(
    session: Session,
    model: str,
    releases: Sequence[str],
    protocol: Protocol,
    *,
    board: str,
    compiled: Mapping[str, Compiled],
    threads: Threads,
    accelerator: str | None,
    simulated: tuple[str, ...] = (),
    progress: Progress = silent,
) -> list[Measurement]:
    """Measures releases of one model, interleaved (A B A B) in one session.

    Args:
        compiled: what is known of the releases, by their names.

    Returns:
        One Measurement per release, in the same order.
    """

    def say(event: Event) -> None:
        if event.event == "progress":
            detail = protocol.name
            progress(
                ProgressEvent(
                    stage="bench",
                    board=board,
                    detail=detail,
                    done=event.done,
                    total=event.total,
                    unit="rounds",
                )
            )

    def run(limit_s: float) -> Benched:
        how = types.Protocol(
            rounds=protocol.rounds, warmup_s=protocol.warmup_s, steady_s=protocol.steady_s,
            min_samples=protocol.min_samples, limit_s=limit_s,
        )  # fmt: skip
        command = commands.Bench(
            model=model, releases=tuple(releases), protocol=how, threads=threads.used, accelerator=accelerator
        )
        return session.call(command, timeout_s=limit_s + READ, on_event=say)

    try:
        answer = run(protocol.limit_s)
    except BoardError as error:
        if error.code != Code.SLOW_START:
            raise
        progress(
            ProgressEvent(
                stage="bench", board=board, detail=f"{protocol.name}, with more time: it starts slowly"
            )
        )
        try:
            answer = run(SLOW_START * protocol.limit_s)
        except BoardError as again:
            if again.code != Code.SLOW_START or protocol.name != STANDARD.name:
                raise
            raise BoardError(again.message, hint=TOO_SLOW, code=again.code) from again
    check_runs(answer.runs, protocol, releases)
    every = stride(answer.runs)
    runs = [read_run(session, run, most_of_run(protocol), every) for run in answer.runs]
    of = {release: [run for run in runs if run.release == release] for release in releases}
    return [
        measurement(
            of[release], answer.before, answer.after, board=board, model=model, release=release,
            compiled=compiled.get(release, Compiled()), protocol=protocol.name, threads=threads, simulated=simulated, every=every,
            ratio=statistics.ratio(of[release], of[releases[0]]) if release != releases[0] else None,
        )
        for release in releases
    ]  # fmt: skip


def check_runs(runs: Sequence[BenchRun], protocol: Protocol, releases: Sequence[str]) -> None:
    """Raises ProtocolError for runs that nobody asked for."""
    named = [(run.release, run.round) for run in runs]
    asked = {(release, number) for release in releases for number in range(protocol.rounds)}
    if len(set(named)) != len(named) or not asked.issuperset(named):
        raise ProtocolError(f"the board's benchmark has runs that were not asked for: {len(named)}")


def stride(runs: Sequence[BenchRun]) -> int:
    """Which blocks of a run's samples are kept, so that those of all runs fit into memory: every first, second, ..."""
    return max(1, -(-sum(run.samples.size for run in runs) // KEPT_SAMPLES))


def most_of_run(protocol: Protocol) -> int:
    """Bytes of the samples of one run: no inference is faster than `FASTEST_S`."""
    size = SAMPLE_BYTES * (protocol.min_samples + MORE_SAMPLES + int(protocol.steady_s / FASTEST_S))
    return min(SAMPLES.most, size)


def read_run(session: Session, run: BenchRun, most: int, every: int = 1) -> Run:
    """One run, with its raw samples fetched.

    Args:
        most: bytes that they may have.
        every: from `stride`.

    Raises:
        ProtocolError: the bytes are not samples.
    """
    taken = array("d")
    try:
        with session.get_file(run.samples, most=most) as file:
            for block in blocks(file, every):
                taken.frombytes(block)
        if byteorder == "big":
            taken.byteswap()
        if taken and not (min(taken) >= 0 and max(taken) <= LONGEST_MS and sum(taken) <= LONGEST_MS):
            raise ValueError("a latency that no inference has")
    except ValueError as error:
        raise ProtocolError(f"the samples of the board's benchmark are not valid: {error}") from error
    return Run(
        release=run.release, round=run.round, import_ms=run.import_ms, load_ms=run.load_ms, first_ms=run.first_ms,
        samples_ms=taken, baseline_kb=run.baseline_kb, peak_kb=run.peak_kb, memory_method=run.memory_method,
        accelerator=run.accelerator, runtime=run.runtime, threads=run.threads,
    )  # fmt: skip


def blocks(file: BinaryIO, every: int) -> Iterator[bytes]:
    """The blocks of samples to keep. A block is longer than a pass over the goldens, so that none of them is left out."""
    size = BLOCK * SAMPLE_BYTES
    while block := file.read(size):
        yield block
        file.seek((every - 1) * size, os.SEEK_CUR)


NOTHING = Latency(
    n=0, runs=0, p50=None, p50_low=None, p50_high=None, p90=None, p95=None, p99=None,
    mean=0.0, minimum=0.0, maximum=0.0, load_ms=0.0, first_ms=0.0,
)  # fmt: skip


def thinned(every: int) -> list[str]:
    """The caveat of a measurement that does not keep all of its samples."""
    return [f"1 of {every} blocks of {BLOCK} samples is kept: the model is very fast"] if every > 1 else []


def measurement(
    runs: Sequence[Run],
    before: Environment,
    after: Environment,
    *,
    board: str,
    model: str,
    release: str,
    compiled: Compiled,
    protocol: str,
    threads: Threads,
    simulated: tuple[str, ...],
    every: int = 1,
    ratio: Ratio | None = None,
) -> Measurement:
    """The Measurement of one release's runs. `every`: from `stride`."""
    figures = statistics.latency(runs) if any(run.samples_ms for run in runs) else NOTHING
    peaks = [run for run in runs if run.peak_kb >= 0]
    share = max(run.peak_kb for run in peaks) / 1024 if peaks else None
    last = runs[-1] if runs else None
    return Measurement(
        board=board,
        model=model,
        release=release,
        artifact=compiled.artifact,
        target=compiled.target,
        precision=compiled.precision,
        protocol=protocol,
        latency=figures,
        peak_rss_mb=share,
        peak_process_mb=max(run.baseline_kb + run.peak_kb for run in peaks) / 1024 if peaks else None,
        model_memory_mb=share,
        memory_method=last.memory_method if last else "",
        accelerator=last.accelerator if last else "",
        runtime=last.runtime if last else "",
        threads=last.threads or threads.used if last else threads.used,
        invalid=tuple(validity.invalid(runs, before, after)),
        caveats=(*validity.caveats(runs, before, after, figures.p95, threads), *thinned(every)),
        before=before,
        after=after,
        medians_ms=tuple(statistics.median(run.samples_ms) for run in runs if run.samples_ms),
        samples=samples.keep(runs),
        ratio=ratio,
        simulated=simulated,
    )
