"""SIGTERM and SIGHUP stop a command as Ctrl-C does: `current` and the journal agree, and the exit code is 8; real processes and boards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import result_of

Run = Callable[..., Any]
START = Callable[..., subprocess.Popen[str]]
LIMIT_S = 180.0  # of a process: less than a mutation's run may take


@pytest.fixture
def start(models: Path) -> Iterator[START]:
    """`start("deploy", ...)`: starts the program, which is killed after a time limit, or after the test."""
    begun: list[tuple[subprocess.Popen[str], threading.Timer]] = []

    def process(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        code = (
            "from edgewright.measure import validity; from edgewright.cli.main import run; "
            "validity.CONTENTION_INVALID = 2.0; run()"  # as conftest.py has it
        )
        one = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
        )  # fmt: skip
        late = threading.Timer(LIMIT_S, one.kill)  # else a read of its progress never ends
        late.start()
        begun.append((one, late))
        return one

    yield process
    for one, late in begun:
        late.cancel()
        one.kill()
        one.communicate(timeout=20)


def deploy(start: START, models: Path, *more: object) -> subprocess.Popen[str]:
    """`edgewright deploy retrained.onnx`."""
    return start("deploy", models / "retrained.onnx", "--to", "e-2", "--name", "tiny", "--target", "onnxruntime",
                 "--precision", "fp32", "--json", *more)  # fmt: skip


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    """Reads the progress until a line has `word`."""
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return
    raise AssertionError(f"never printed {word!r}; exit code {process.wait()}")


def current(lab: Path) -> str:
    """The release that runs on e-2."""
    return (lab / "e-2" / "home" / ".edgewright" / "models" / "tiny" / "current").readlink().name


@pytest.fixture(scope="module")
def first(deployed: Run) -> str:
    """A committed release of `tiny` on e-2."""
    ran = deployed("good.onnx")
    assert ran.code == 0, ran.err + ran.out
    return str(ran.outcome["release"])


def last(run: Run) -> tuple[str, str]:
    """(outcome, release) of the newest line in the history."""
    found = run("history", "--json").json["events"][0]
    return found["outcome"], found["release"]


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_deployment_that_is_stopped_while_it_measures(
    run: Run, first: str, start: START, models: Path, lab: Path, number: int
) -> None:
    process = deploy(start, models, "--protocol", "standard")
    wait_for(process, "bench")
    process.send_signal(number)
    process.send_signal(number)  # as `timeout` and service managers do: at once, to a process and its group
    out, err = process.communicate(timeout=120)
    assert process.returncode == 8, err
    assert result_of(out)["outcomes"][0]["outcome"] == "aborted"
    assert current(lab) == first and last(run)[0] == "aborted"


def test_a_deployment_that_is_stopped_in_its_trial_ends_it_and_says_how(
    run: Run, first: str, start: START, models: Path, lab: Path, tmp_path: Path
) -> None:
    (tmp_path / "hook.sh").write_text("#!/bin/sh\nsleep 3\n")
    (tmp_path / "edgewright.toml").write_text(
        f'name = "tiny"\nmodel = "{models / "retrained.onnx"}"\nprecision = "fp32"\n[hooks]\nactivate = "hook.sh"\n'
    )
    process = start(
        "deploy",
        "--project",
        tmp_path / "edgewright.toml",
        "--to",
        "e-2",
        "--target",
        "onnxruntime",
        "--json",
    )
    wait_for(process, "activate")
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 8, err
    outcome = result_of(out)["outcomes"][0]
    assert '"ok": false' in out
    assert outcome["outcome"] == "committed" and outcome["release"] == current(lab)
    assert last(run) == ("committed", current(lab))
    assert run("rollback", "tiny", "--on", "e-2", "--to", first).code == 0


def test_a_deployment_that_is_stopped_twice_is_left_and_the_journal_says_so(
    run: Run, first: str, start: START, models: Path, lab: Path
) -> None:
    process = deploy(start, models, "--protocol", "standard")
    wait_for(process, "bench")
    process.send_signal(signal.SIGTERM)
    wait_for(process, "stopping")
    time.sleep(1.1)  # one within a second belongs to the first
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 8, err
    if (outcome := result_of(out)["outcomes"][0]["outcome"]) == "unknown":  # else its step ended before
        assert time.monotonic() - began < 20
    assert outcome in ("unknown", "aborted") and last(run)[0] == outcome
    assert current(lab) == first


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The worker processes that a command has started."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [
        int(one)
        for one in found
        if b"edgewright.compile.workers.process" in Path(f"/proc/{one}/cmdline").read_bytes()
    ]


def test_a_conversion_is_stopped_with_its_workers(start: START, models: Path) -> None:
    process = start("convert", models / "good.onnx", "--target", "onnxruntime", "--no-cache", "--json")
    limit = time.monotonic() + 60
    while not (workers := workers_of(process)) and time.monotonic() < limit:
        time.sleep(0.02)
    for number in (*workers, process.pid):  # as a service manager does: to each process, in any order
        os.kill(number, signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 8, err
    assert "stopped by SIGTERM" in err and "worker" not in err and '"ok": false' in out
    assert not any(Path(f"/proc/{one}").exists() for one in workers)


def test_sigterm_to_a_worker_alone_does_not_end_a_conversion(start: START, models: Path) -> None:
    process = start("convert", models / "good.onnx", "--target", "onnxruntime", "--no-cache", "--json")
    limit = time.monotonic() + 60
    while not (workers := workers_of(process)) and time.monotonic() < limit:
        time.sleep(0.02)
    for _ in range(20):
        time.sleep(0.1)
        for one in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGTERM)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 0, err


def test_what_nohup_ignores_stays_ignored(first: str, start: START) -> None:
    process = start("status", "--json", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait_for(process, "status")
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert result_of(out)
