"""Measures targets side by side on one lab board: latency, memory, size of runtime and model, time to convert.

The artifacts of a model at one precision take turns in one `bench`. The results go to a file in `side_by_side/`, from which
`make docs` writes the section in docs/targets.md, or docs/ahead-of-time.md. An interrupted run continues where it stopped.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import measuring
import msgspec
from lab_link import Lab, lab
from side_by_side import sizes
from side_by_side.models import MODELS, Model
from side_by_side.results import Notes, Run, Timing
from side_by_side.tables import TABLES
from truth.cases import Absent

import edgewright as ew
from edgewright import targets
from edgewright.api import conversion
from edgewright.compile import machine_code
from edgewright.compile.inspection import code_fingerprint
from edgewright.compile.pipeline import compile_model
from edgewright.compile.toolchains import environments
from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.connect.session import open_session
from edgewright.errors import EdgewrightError
from edgewright.nouns import cpu as cpus
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.facts import Facts
from edgewright.nouns.measurement import Measurement, Protocol

INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni")


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", choices=list(TABLES), default="targets")
    parser.add_argument("--models", nargs="+", choices=list(MODELS))
    parser.add_argument("--targets", nargs="+", choices=targets.names())
    parser.add_argument("--precisions", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steady", type=float, default=0.4, help="seconds of each run")
    parser.add_argument("--results", type=Path)
    given = parser.parse_args()
    for name, value in TABLES[given.table]._asdict().items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    with lab(1) as link, Workers(home.folder("logs") / "convert.log") as workers:
        fleet = ew.Fleet.load(link.fleet)
        protocol = Protocol(
            name="benchmark", rounds=given.rounds, warmup_s=0.3, steady_s=given.steady, min_samples=11, limit_s=120
        )  # fmt: skip
        install_toolchains(given.targets)
        notes = Notes(given.results, described(facts_of(fleet), protocol))
        measure_sizes(fleet, given.targets, notes)
        for name in given.models:
            measure_model(link, fleet, name, given, protocol, workers, notes)
        notes.close()
    measuring.say(f"wrote {given.results}; `make docs` shows it")


def install_toolchains(names: Sequence[str]) -> None:
    """Installs what conversions of Keras models for these targets call, into the lab's own state folder."""
    needed = {one for name in names for one in targets.load(name).routes["keras"].toolchains}
    for one in sorted(needed):
        measuring.say(f"installing toolchain {one}")
        environments.install(one)


def described(facts: Facts, protocol: Protocol) -> Run:
    """The run: its day, machine and protocol."""
    flags = Path("/proc/cpuinfo").read_text().split()
    able = [name for name in INSTRUCTIONS if name in flags] or ["no AVX2"]
    kernel = platform.release().split("-")[0]
    return Run(
        day=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        machine=f"{os.cpu_count()}-core {platform.machine()} ({', '.join(able)}), Linux {kernel}",
        python=facts.python.version,
        protocol=f"{protocol.rounds} rounds of {protocol.steady_s:g} s, each in a fresh process, after a warm-up of {protocol.warmup_s:g} s",
        code=code_fingerprint.of(code_fingerprint.files())[:12],
    )


def facts_of(fleet: ew.Fleet) -> Facts:
    """The board's facts."""
    with open_session(next(iter(fleet.boards.values())), fleet) as session:
        return session.facts()


def measure_sizes(fleet: ew.Fleet, names: Sequence[str], notes: Notes) -> None:
    """Installs the runtimes on the board, and notes their sizes there and for boards that are not here."""
    with open_session(next(iter(fleet.boards.values())), fleet) as session:
        here = sizes.provisioned(session, session.facts(), names)
    if notes.found.sizes:
        return
    measuring.say("resolving runtimes for other boards")
    notes.add(sizes=[*here, *(row for system in sizes.SYSTEMS for row in sizes.resolved(system, names))])


def measure_model(
    link: Lab, fleet: ew.Fleet, name: str, given: argparse.Namespace, protocol: Protocol, workers: Workers,
    notes: Notes,
) -> None:  # fmt: skip
    """Measures one model at each precision, unless an earlier run did."""

    @cache
    def source() -> Model:
        folder = Path(tempfile.mkdtemp(dir=link.folder))
        return MODELS[name](name, folder)

    for precision in given.precisions:
        if any((row.model, row.precision) == (name, precision) for row in notes.found.timings):
            continue
        try:
            source()
        except Absent as error:
            measuring.say(f"{name}: {error}")
            return
        notes.add(measured(fleet, source(), precision, given.targets, protocol, workers))


def measured(
    fleet: ew.Fleet, model: Model, precision: str, names: Sequence[str], protocol: Protocol, workers: Workers
) -> list[Timing]:
    """Converts a model for each target that makes the precision, and measures the artifacts in turns."""
    artifacts: dict[str, Artifact] = {}
    seconds: dict[str, float] = {}
    refused: list[Timing] = []
    for target in names:
        if precision not in targets.load(target).precisions:
            continue
        measuring.say(f"{model.name}: {target} {precision}")
        began = time.monotonic()
        try:
            artifacts[target] = converted(model, target, precision, workers)
            seconds[target] = time.monotonic() - began
        except EdgewrightError as error:
            measuring.say(f"refused: {error.message}")
            refused.append(Timing(model.name, precision, target, refused=error.message))
    found = benched(fleet, list(artifacts.values()), protocol)
    first = next(iter(artifacts), "")
    whole = first == names[0]  # else there is nothing to compare with
    return [
        *(
            msgspec.structs.replace(
                timing(model, precision, target, artifacts[target], one, ratio=whole),
                convert_s=seconds[target],
            )
            for target, one in zip(artifacts, found, strict=True)
        ),
        *refused,
    ]


def converted(model: Model, target: str, precision: str, workers: Workers) -> Artifact:
    """The artifact, made by workers that all conversions share."""
    options = ew.ModelOptions(target=target, precision=precision)
    if precision.startswith("int"):
        options["calibration"] = model.calibration
    if targets.load(target).compiles_for:  # for the lab board's own CPU, as a profile of a real board says it
        options["cpu"] = cpus.best(platform.machine(), machine_code.features()).name
    return compile_model(conversion.wanted_of(model.file, options).request, workers=workers)


def benched(fleet: ew.Fleet, artifacts: Sequence[Artifact], protocol: Protocol) -> Sequence[Measurement]:
    """One benchmark of all of the artifacts, with one thread."""
    if not artifacts:
        return []
    answer = ew.bench(fleet, artifacts, protocol=protocol, threads=1, accelerator="cpu").boards[0]
    if answer.error or not answer.result:
        raise measuring.BenchmarkError(answer.error.message if answer.error else "nothing was measured")
    return answer.result.measurements


def timing(
    model: Model, precision: str, target: str, artifact: Artifact, found: Measurement, *, ratio: bool
) -> Timing:
    """The row of one artifact."""
    other = found.ratio if ratio else None
    return Timing(
        model.name, precision, target, runtime=found.runtime, model_bytes=artifact.manifest.model_bytes,
        p50_ms=found.latency.p50 or 0.0, load_ms=found.latency.load_ms,
        ratio=other.value if other else 0.0, low=other.low if other else 0.0, high=other.high if other else 0.0,
        process_mb=found.peak_process_mb, model_mb=found.model_memory_mb, load=found.before.load1, invalid=found.invalid,
    )  # fmt: skip


if __name__ == "__main__":
    main()
