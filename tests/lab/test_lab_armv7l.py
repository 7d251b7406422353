"""Emulated 32-bit boards: an armhf Debian with nothing installed on it takes the digits and the keyword model, end to end.

Its kernel has 32 bits, or 64 bits as that of Raspberry Pi OS on a Pi 3 or 4; all share one userland of each kind.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from flat_requests import compile_request, deploy_request

from edgewright.cli.commands.lab import complete_arch
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.config import fleet as fleets
from edgewright.connect.session import Limits, open_session
from edgewright.deployments.deployment import deploy
from edgewright.lab import boards
from edgewright.nouns.facts import Facts
from edgewright.nouns.measurement import Protocol
from edgewright.nouns.outcome import BoardOutcome
from edgewright.nouns.project import Budget
from edgewright.store.history import History

DIGITS = Path(__file__).parents[2] / "examples/digits"
SHARED = Path(__file__).parents[3] / "shared"
KEYWORDS = SHARED / "data" / "kws_800.npz"
SAMPLES = 100  # of the keywords: their accuracy on the board, not in general
BRIEF = Protocol(name="brief", rounds=1, warmup_s=0.01, steady_s=0.05, min_samples=11, limit_s=300.0)


class Release(NamedTuple):
    """A model and the precision to make of it."""

    source: Path
    precision: str


class Job(NamedTuple):
    """Two releases of a model, and its labelled data."""

    name: str
    first: Release
    second: Release
    data: Path


JOBS = [
    pytest.param(
        Job(
            name="digits",
            first=Release(DIGITS / "digits-v1.keras", "fp32"),
            second=Release(DIGITS / "digits-v4.keras", "fp32"),
            data=DIGITS / "evaluation.npz",
        ),
        id="digits",
    ),
    pytest.param(
        Job(
            name="keywords",
            first=Release(SHARED / "models" / "kws_ref_model", "fp32"),
            second=Release(SHARED / "models" / "kws_ref_model", "fp16"),
            data=KEYWORDS,
        ),
        id="keywords",
        marks=pytest.mark.skipif(
            not KEYWORDS.exists(), reason=f"MLPerf Tiny's models and data are not in {SHARED}"
        ),
    ),
]


def facts_of(name: str) -> Facts:
    """What the agent reports of a board. On a busy machine, an emulated machine's Python is slow to start."""
    fleet = fleets.load(Path("fleet.toml"))
    with open_session(fleet.boards[name], fleet, limits=Limits(silence_s=120, greeting_s=120)) as session:
        return session.facts()


def labelled(data: Path, into: Path) -> Path:
    """The first samples of labelled data."""
    with np.load(data) as arrays:
        np.savez(into, **{name: arrays[name][:SAMPLES] for name in arrays.files})
    return into


def deployed(
    board: str, name: str, release: Release, workers: Workers, evaluation: Path | None = None
) -> BoardOutcome:
    """The outcome of converting and deploying a release by ncnn. An emulated board's speed means nothing."""
    fleet = fleets.load(Path("fleet.toml"))
    request = deploy_request(
        fleet=fleet, boards=(fleet.boards[board],), name=name, source=release.source, target="ncnn",
        precision=release.precision, protocol=BRIEF, budget=Budget(max_slowdown=50.0), allow_synthetic=True,
        evaluation=evaluation,
    )  # fmt: skip
    (outcome,) = deploy(request, history=History(), workers=workers)
    assert outcome.outcome == "committed", (outcome.message, outcome.checks)
    return outcome


def installed_class(board: boards.LabBoard, ssh: Any) -> str:
    """The class byte in the ELF header of ncnn's module on a board: 01 for 32 bits, 02 for 64."""
    done = ssh(board, "od -An -tx1 -j4 -N1 ~/.edgewright/runtimes/*/ncnn/*.so")
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


@pytest.mark.usefixtures("emulator")
def test_a_32_bit_board_says_what_it_is(run: Any, here: Path, ssh: Any) -> None:
    code, document = run("lab", "up", "--arch", "armv7l", "--boards", "1", "--profile", "generic-armv7l")
    shown = document["boards"][0]
    assert code == 0 and (shown["arch"], shown["suite"], shown["kernel"]) == ("armv7l", "bookworm", "")
    facts = facts_of("lab-1")
    assert (facts.arch, facts.python.platform, facts.cpu) == (
        "armv7l",
        "linux-armv7l",
        "Cortex-A7",
    )
    assert facts.numpy == "" and not facts.runtimes, "nothing is installed on it"
    (board,) = boards.listing()
    said = ssh(board, "uname -m; cat /proc/cpuinfo").stdout.decode()
    assert said.startswith("armv7l\n") and {"neon", "vfpv4"} <= set(said.split())
    assert f"Serial\t\t: {facts.serial}\nModel\t\t: {facts.model}\n" in said
    program = next((here / "userlands").glob("bookworm-armv7l-*/usr/bin/true"))
    with pytest.raises(OSError, match="Exec format error"):  # this machine does not run its programs
        subprocess.run([program], check=False)


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("job", JOBS)
@pytest.mark.usefixtures("emulator")
def test_a_32_bit_board_takes_a_model_end_to_end(
    run: Any, here: Path, workers: Workers, ssh: Any, tmp_path: Path, job: Job
) -> None:
    assert run("lab", "up", "--arch", "armv7l", "--boards", "1", "--profile", "generic-armv7l")[0] == 0
    data = labelled(job.data, tmp_path / "labelled.npz")
    made = compile_model(
        compile_request(
            source=job.first.source, target="ncnn", precision=job.first.precision, evaluation=data
        ),
        workers=workers,
    )
    code, document = run("provision", "lab-1", "--target", "ncnn")
    assert code == 0 and document["boards"][0]["result"]["name"] == "ncnn"
    (board,) = boards.listing()
    assert installed_class(board, ssh) == "01"

    first = deployed("lab-1", job.name, job.first, workers, data)
    assert first.artifact == made.id and first.runtime.startswith("ncnn")
    checks = {check.name: check for check in first.checks}
    assert (checks["answers"].value or 0) > 60
    scored = checks["accuracy against its source"]
    assert scored.n == SAMPLES and scored.measured == scored.reference
    second = deployed("lab-1", job.name, job.second, workers)
    assert second.incumbent is not None and second.incumbent.release == first.release

    code, document = run("bench", job.name, "--on", "lab-1", "--protocol", "quick")
    assert code == 0
    assert document["boards"][0]["result"]["measurements"][0]["latency"]["p50"] > 0
    code, document = run("rollback", job.name, "--on", "lab-1")
    assert code == 0 and document["outcomes"][0]["current"] == first.release
    code, document = run("status", "lab-1", "--verify")
    model = document["boards"][0]["result"]["models"][job.name]
    assert code == 0 and model["current"] == first.release
    assert facts_of("lab-1").numpy == "", "ncnn needs no package of the board"


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kernel", "machine", "cpu"),
    [
        pytest.param("arm64", "aarch64", "Cortex-A72", marks=pytest.mark.exhaustive),
        pytest.param("armv7l", "armv7l", "Cortex-A7", marks=pytest.mark.exhaustive),
    ],
)
@pytest.mark.usefixtures("machine")
def test_the_pythons_bits_decide_whatever_the_kernel_has(
    run: Any, here: Path, workers: Workers, ssh: Any, kernel: str, machine: str, cpu: str
) -> None:
    code, document = run(
        "lab", "up", "--arch", "armv7l", "--vm", "--kernel", kernel, "--boards", "1", "--profile", "pi3b",
        "--name", kernel,
    )  # fmt: skip
    assert code == 0 and document["boards"][0]["kernel"] == kernel
    facts = facts_of(f"{kernel}-1")
    assert (facts.arch, facts.cpu, facts.python.platform) == (machine, cpu, "linux-armv7l")
    deployed(f"{kernel}-1", "digits", Release(DIGITS / "digits-v1.keras", "fp32"), workers)
    (board,) = [one for one in boards.listing() if one.lab == kernel]
    assert installed_class(board, ssh) == "01"
    assert ssh(board, "uname -m").stdout.decode().strip() == machine


def test_the_architectures_are_completed() -> None:
    assert complete_arch("") == ["arm64", "armv7l"] and complete_arch("armv") == ["armv7l"]


def test_what_an_architecture_does_not_have_is_one_line(run: Any, here: Path, capsys: Any) -> None:
    code, error = run("lab", "up", "--arch", "arm64", "--vm", "--kernel", "armv7l")
    assert (code, error["message"], error["hint"]) == (
        64,
        "no such kernel of arm64 boards: armv7l",
        "known are arm64",
    )
    code, error = run("lab", "up", "--arch", "armv7l", "--kernel", "arm64")
    assert code == 64 and error["message"] == "--kernel is for whole machines"
    code, error = run("lab", "up", "--arch", "armv7l", "--profile", "pi5")
    assert code == 1 and error["message"] == "a board of profile pi5 is aarch64, not armv7l"
