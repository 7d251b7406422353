"""Mistakes of users and boards: one clear error, a hint, and an unchanged `current`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from command_line import result_of

from edgewright.config import fleet as fleets
from edgewright.connect.exchange import Exchange
from edgewright.connect.session import Session, open_session
from edgewright.wire import commands
from edgewright.wire.request import Request

Run = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def started() -> set[str]:
    """The files in the developer's home before this module."""
    return {entry.name for entry in Path.home().iterdir()}


@pytest.fixture(scope="module")
def first(deployed: Run) -> str:
    """A committed release of `tiny` on e-2."""
    ran = deployed("good.onnx")
    assert ran.code == 0, ran.err + ran.out
    return str(ran.json["outcomes"][0]["release"])


@pytest.fixture
def unharmed(first: str, lab: Path) -> Any:
    """Checks after the test that `current` is the first release and intact."""
    yield
    link = lab / "e-2" / "home" / ".edgewright" / "models" / "tiny" / "current"
    assert link.readlink().name == first
    manifest = json.loads((link / "manifest.json").read_bytes())
    assert all((link / entry["path"]).stat().st_size == entry["size"] for entry in manifest["files"])


@pytest.fixture
def artifact(run: Run, models: Path, tmp_path: Path) -> Path:
    """A copy of an artifact's folder."""
    folder = tmp_path / "artifact"
    made = run(
        "convert",
        models / "retrained.onnx",
        "--target",
        "onnxruntime",
        "--precision",
        "fp32",
        "--output",
        folder,
        "--json",
    )
    assert made.code == 0, made.err
    return folder


def test_an_artifact_whose_bytes_are_not_its_manifests(run: Run, artifact: Path, unharmed: None) -> None:
    with (artifact / "model.onnx").open("r+b") as file:
        file.seek(200)
        file.write(b"\x00\x01\x02\x03")
    ran = run("deploy", artifact, "--to", "e-2", "--name", "tiny", "--json")
    assert ran.code == 1
    assert ran.error["code"] == "artifact-damaged"
    assert "model.onnx" in ran.error["message"]


def test_a_manifest_of_a_newer_version(run: Run, artifact: Path, unharmed: None) -> None:
    manifest = json.loads((artifact / "manifest.json").read_bytes())
    (artifact / "manifest.json").write_text(json.dumps({**manifest, "schema": 99}))
    ran = run("deploy", artifact, "--to", "e-2", "--name", "tiny")
    assert ran.code == 1
    assert "99" in ran.err
    assert "hint:" in ran.err
    assert "Traceback" not in ran.err


def test_a_board_that_is_not_of_its_profile(run: Run, deployed: Run, home: Path, unharmed: None) -> None:
    fleet = home / "fleet.toml"
    before = fleet.read_text()
    fleet.write_text(before.replace('profile = "generic-x86_64"', 'profile = "generic-arm64"'))
    try:
        ran = deployed("retrained.onnx")
    finally:
        fleet.write_text(before)
    assert ran.code == 2
    outcome = ran.json["outcomes"][0]
    assert (outcome["outcome"], outcome["code"]) == ("failed", "no-fit")
    assert "x86_64" in outcome["message"]


def test_an_accelerator_that_is_absent(deployed: Run, unharmed: None) -> None:
    ran = deployed("retrained.onnx", "--accelerator", "cuda")
    assert ran.code == 2
    outcome = ran.json["outcomes"][0]
    assert (outcome["outcome"], outcome["code"]) == ("failed", "accelerator-absent")


def test_a_budget_that_is_not_met(run: Run, models: Path, tmp_path: Path, unharmed: None) -> None:
    project = tmp_path / "edgewright.toml"
    project.write_text(
        f'name = "tiny"\nmodel = "{models / "retrained.onnx"}"\nprecision = "fp32"\n[budget]\np50_ms = 0.000001\n'
    )
    ran = run("deploy", "--project", project, "--to", "e-2", "--target", "onnxruntime", "--json")
    assert ran.code == 2
    assert ran.json["outcomes"][0]["outcome"] == "refused"
    assert "p50" in ran.json["outcomes"][0]["message"]


@pytest.mark.parametrize(
    ("does", "limit", "said"),
    [
        ("echo the application is not well >&2\nexit 3", "", "exit code 3: the application is not well"),
        ("sleep 30", "timeout_s = 1", "the hook health took longer than 1 s"),
    ],
)
def test_a_hook_that_fails_puts_the_old_release_back(
    run: Run, models: Path, tmp_path: Path, unharmed: None, does: str, limit: str, said: str
) -> None:
    hook = tmp_path / "health.sh"
    hook.write_text(f"#!/bin/sh\n{does}\n")
    hook.chmod(0o755)
    project = tmp_path / "edgewright.toml"
    project.write_text(
        f'name = "tiny"\nmodel = "{models / "retrained.onnx"}"\nprecision = "fp32"\n[hooks]\nhealth = "health.sh"\n{limit}\n'
    )
    ran = run("deploy", "--project", project, "--to", "e-2", "--target", "onnxruntime", "--json")
    assert ran.code == 2
    outcome = ran.json["outcomes"][0]
    assert (outcome["outcome"], outcome["code"]) == ("reverted", "hook-failed")
    assert said in outcome["message"]
    for dry in (("--dry-run",), ()):
        again = run(
            "deploy", "--project", project, "--to", "e-2", "--target", "onnxruntime", *dry, "--json"
        ).outcome
        assert (again["outcome"], again["code"], again["sent_bytes"]) == ("refused", "failed-before", 0)
        assert said in again["message"]
    project.write_text(
        project.read_text() + "timeout_s = 2\n" if not limit else project.read_text().replace("= 1", "= 2")
    )
    more = run(
        "deploy", "--project", project, "--to", "e-2", "--target", "onnxruntime", "--dry-run", "--json"
    ).outcome
    assert more["outcome"] == "planned"  # with more time, the same hooks may succeed


def test_a_version_that_is_there_with_another_time_limit_of_its_hooks_is_refused(
    run: Run, models: Path, tmp_path: Path, unharmed: None
) -> None:
    (tmp_path / "health.sh").write_text("#!/bin/sh\n")
    project, rest = tmp_path / "edgewright.toml", ("--to", "e-2", "--target", "onnxruntime", "--json")
    text = f'name = "timed"\nmodel = "{models / "good.onnx"}"\nprecision = "fp32"\n[hooks]\nhealth = "health.sh"\n'
    for limit, ended in (("5", "committed"), ("5", "unchanged"), ("7", "refused"), ("60", "refused")):
        project.write_text(f"{text}timeout_s = {limit}\n")
        found = run("deploy", "--project", project, *rest).outcome
        assert found["outcome"] == ended, found
    assert found["message"].endswith("is current on e-2 with other hooks: timeout_s")


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_version_that_is_there_with_other_hooks_is_refused_also_by_a_dry_run(
    run: Run, models: Path, tmp_path: Path, first: str, unharmed: None, dry: tuple[str, ...]
) -> None:
    (tmp_path / "health.sh").write_text("#!/bin/sh\n")
    project = tmp_path / "edgewright.toml"
    project.write_text(
        f'name = "tiny"\nmodel = "{models / "good.onnx"}"\nprecision = "fp32"\n[hooks]\nhealth = "health.sh"\n'
    )
    ran = run("deploy", "--project", project, "--to", "e-2", "--target", "onnxruntime", *dry, "--json")
    assert (ran.code, ran.outcome["outcome"], ran.outcome["code"]) == (2, "refused", "in-use")
    assert ran.outcome["message"] == f"{first} is current on e-2 with other hooks: health"
    assert "--version" in ran.outcome["hint"]


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ({"disk_free_bytes": 0}, "e-2 has 0 MiB free, the release needs 64"),
        ({"disk_free_inodes": 0}, "e-2 has 0 inodes free, the release needs 74"),
    ],
)
def test_a_full_disk_refuses_a_new_release_and_not_the_one_that_is_there(
    deployed: Run, unharmed: None, monkeypatch: pytest.MonkeyPatch, left: dict[str, int], said: str
) -> None:
    facts = Session.facts
    monkeypatch.setattr(Session, "facts", lambda session: msgspec.structs.replace(facts(session), **left))
    for dry in ((), ("--dry-run",)):
        assert deployed("good.onnx", *dry).outcome["outcome"] == "unchanged"
        refused = deployed("retrained.onnx", *dry).outcome
        assert (refused["outcome"], refused["code"], refused["message"]) == ("failed", "disk-full", said)
        assert "`edgewright fleet prune e-2`" in refused["hint"]


def test_an_unchanged_deployment_asks_the_board_twice(
    deployed: Run, unharmed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them takes a round trip, which is long over a slow link."""
    asked, run_all = list[list[str]](), Exchange.run

    def count(self: Exchange, requests: Sequence[Request[Any]], *rest: Any) -> list[Any]:
        asked.append([one.command.do for one in requests])
        return run_all(self, requests, *rest)

    monkeypatch.setattr(Exchange, "run", count)
    assert deployed("good.onnx").outcome["outcome"] == "unchanged"
    assert asked == [["facts", "status"], ["begin", "verify", "end"]]


def test_an_unchanged_deployment_sends_a_runner_that_is_gone(
    deployed: Run, lab: Path, unharmed: None
) -> None:
    runners = lab / "e-2" / "home" / ".edgewright" / "runners"
    for file in runners.iterdir():
        file.unlink()
    assert deployed("good.onnx").outcome["outcome"] == "unchanged"
    assert list(runners.iterdir())


def test_an_unchanged_deployment_waits_for_nobody_and_leaves_the_others_lease(
    deployed: Run, lab: Path, unharmed: None
) -> None:
    fleet = fleets.load(lab.parents[1] / "fleet.toml")
    with open_session(fleet.boards["e-2"], fleet) as session:
        session.call(commands.Begin(model="tiny", txn="7" * 32, host="another", ttl_s=60))
        ran = deployed("good.onnx").outcome
        assert (ran["outcome"], ran["code"]) == ("failed", "busy")
        lease = session.call(commands.Status()).lease
        assert lease is not None and lease.host == "another"
        session.call(commands.End(txn="7" * 32))


def test_synthetic_calibration_is_refused_unless_allowed(
    deployed: Run, models: Path, run: Run, unharmed: None
) -> None:
    asked = ("--to", "e-2", "--name", "other", "--target", "onnxruntime", "--precision", "int8")
    bare = run("deploy", models / "good.onnx", *asked, "--json")
    assert bare.code == 64
    assert bare.error["code"] == "calibration-missing"
    refused = run("deploy", models / "good.onnx", *asked, "--calibration", "synthetic", "--json")
    assert refused.code == 1
    assert refused.error["code"] == "synthetic-calibration"
    taken = run(
        "deploy",
        models / "good.onnx",
        *asked,
        "--calibration",
        "synthetic",
        "--allow-synthetic",
        "--dry-run",
        "--json",
    )
    assert taken.code == 0, taken.out


def test_boards_that_are_away_do_not_stop_the_others(
    run: Run, deployed: Run, home: Path, first: str, unharmed: None
) -> None:
    fleet, trust = home / "fleet.toml", home / "fleet.trust.toml"
    before, pins = fleet.read_text(), trust.read_text()
    away = before[before.index("[boards.e-2]") :].replace("[boards.e-2]", "[boards.away]")
    port = next(line for line in away.splitlines() if line.startswith("port"))
    fleet.write_text(before + "\n" + away.replace(port, "port = 1"))
    try:
        assert run("fleet", "trust", "away", "--yes", "--json").code == 4
        strange = deployed("good.onnx", to="e-2,away")
        key = next(
            line for line in pins[pins.index("[boards.e-2]") :].splitlines() if line.startswith("host_key")
        )
        trust.write_text(f"{pins}\n[boards.away]\n{key}\n")
        gone = deployed("good.onnx", to="e-2,away")
    finally:
        fleet.write_text(before)
        trust.write_text(pins)
    for ran, code, kind, why in (
        (strange, 2, "failed", "host-key-unknown"),
        (gone, 4, "unreachable", "unreachable"),
    ):
        outcomes = {
            outcome["board"]: (outcome["outcome"], outcome["code"]) for outcome in ran.json["outcomes"]
        }
        assert outcomes == {"e-2": ("unchanged", ""), "away": (kind, why)}
        assert ran.code == code


def test_a_damaged_incumbent_is_noticed_and_does_not_block_its_successor(
    deployed: Run, models: Path, lab: Path
) -> None:
    evaluation = ("--evaluation", models / "evaluation.npz")
    ran = deployed("good.onnx", *evaluation, model="broken")
    assert ran.code == 0, ran.err
    link = lab / "e-2" / "home" / ".edgewright" / "models" / "broken" / "current"
    with (link / "model.onnx").open("r+b") as file:
        file.seek(300)
        file.write(b"XXXX")
    again = deployed("good.onnx", *evaluation, model="broken")
    assert again.code == 2
    assert again.json["outcomes"][0]["code"] == "release-damaged"
    assert "--version" in again.json["outcomes"][0]["hint"]
    for more in (evaluation, ()):
        assert deployed("good.onnx", *more, "--version", "fixed", "--stage", model="broken").code == 0
    after = deployed("good.onnx", *evaluation, "--version", "fixed", model="broken")
    assert after.code == 0, after.out
    notes = [check["note"] for check in after.json["outcomes"][0]["checks"] if check["name"] == "incumbent"]
    assert "damaged" in notes[0]


def deploy_process(models: Path, *more: object) -> subprocess.Popen[str]:
    """`edgewright deploy retrained.onnx` in a separate process."""
    command = ["deploy", str(models / "retrained.onnx"), "--to", "e-2", "--name", "tiny", "--target", "onnxruntime",
               "--precision", "fp32", "--json", *map(str, more)]  # fmt: skip
    code = (
        "import sys; from edgewright.measure import validity; from edgewright.cli.main import run; "
        "validity.CONTENTION_INVALID = 2.0; run(sys.argv[1:])"  # as conftest.py has it
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str]) -> None:
    """Ends a process and closes its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    """Reads the progress until a line has `word`."""
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return
    raise AssertionError(f"never printed {word!r}; exit code {process.wait()}")


def test_two_deployments_at_once_to_one_board(
    run: Run, deployed: Run, models: Path, first: str, unharmed: None
) -> None:
    process = deploy_process(models, "--stage")
    try:
        wait_for(process, "bench")
        process.send_signal(signal.SIGSTOP)  # until the other one was refused, however long that takes
        second = deployed("wrong.onnx")
        process.send_signal(signal.SIGCONT)
        assert second.code == 2
        assert second.json["outcomes"][0]["code"] == "busy"
        out, _ = process.communicate(timeout=120)
        assert result_of(out)["outcomes"][0]["outcome"] == "staged", out
    finally:
        ended(process)


def test_ctrl_c_while_measuring_leaves_the_board_as_it_was(models: Path, unharmed: None) -> None:
    process = deploy_process(models, "--protocol", "standard")
    try:
        wait_for(process, "bench")
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=120)
    finally:
        ended(process)
    assert process.returncode == 8, told
    assert result_of(out)["outcomes"][0]["outcome"] == "aborted"


def agents(lab: Path) -> list[int]:
    """Processes that have the root folder of e-2 in their open files or arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "status").read_text()
                mounts = (entry / "mountinfo").read_text()
            except OSError:
                continue
            if "python" in status.splitlines()[0] and str(lab / "e-2") in mounts:
                found.append(int(entry.name))
    return found


def test_a_link_cut_while_measuring_is_unreachable_and_leaves_no_process(
    models: Path, lab: Path, run: Run, unharmed: None
) -> None:
    process = deploy_process(models)
    try:
        wait_for(process, "bench")
        kill_session(lab)
        out, _ = process.communicate(timeout=90)
    finally:
        ended(process)
    assert process.returncode == 4, out
    assert result_of(out)["outcomes"][0]["outcome"] == "unreachable"
    limit = time.monotonic() + 20
    while agents(lab) and time.monotonic() < limit:
        time.sleep(0.2)
    assert agents(lab) == []
    assert run("status", "e-2", "--json").code == 0


def kill_session(lab: Path) -> None:
    """Ends the sshd processes of e-2's sessions, not its listener."""
    listener = int((lab / "e-2" / "server.pid").read_text())
    children = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    sessions = children.get(listener, [])
    assert sessions, "no session is open"
    for pid in sessions:
        for child in children.get(pid, []):
            with contextlib.suppress(OSError):  # it has just ended
                if "sshd" in (Path("/proc") / str(child) / "comm").read_text():
                    os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):  # it ends by itself when its child is gone
            os.kill(pid, signal.SIGKILL)


def test_a_killed_host_leaves_the_board_as_it_was(models: Path, run: Run, unharmed: None) -> None:
    process = deploy_process(models)
    try:
        wait_for(process, "verify")
    finally:
        ended(process)
    assert run("status", "e-2", "--json").code == 0


def test_nothing_is_left_in_the_developers_home(started: set[str]) -> None:
    assert {entry.name for entry in Path.home().iterdir()} - started <= {".cache", ".keras", ".config"}
