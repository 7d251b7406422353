"""A host is killed in the middle of a deployment over three boards, and `deploy --resume` finishes it."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import Ran, command_line

from edgewright.store.artifacts import ArtifactStore
from edgewright.store.history import History

Run = Callable[..., Any]
# `edgewright` whose process kills itself at a point on a board, and which measures briefly; the plan keeps how
KILLED = """
import os, signal, sys
from edgewright.cli.main import run
from edgewright.connect.session import Session
from edgewright.measure import validity
from edgewright.nouns import measurement
validity.CONTENTION_INVALID = 2.0  # as conftest.py has it
point, board, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
brief = measurement.Protocol(name="quick", rounds=1, warmup_s=0.0, steady_s=0.05, min_samples=11, limit_s=15.0)
measurement.PROTOCOLS["quick"] = brief
call, put_all = Session.call, Session.put_all

def die(self, now):
    if self.board.name == board and point == now:
        os.kill(os.getpid(), signal.SIGKILL)

def watched_call(self, command, **more):
    die(self, f"before {type(command).__name__}")
    answer = call(self, command, **more)
    die(self, f"after {type(command).__name__}")
    return answer

def watched_put(self, sources):
    if len(sources) > 2:
        put_all(self, sources[:1])
        die(self, "in the upload")
    return put_all(self, sources)

Session.call, Session.put_all = watched_call, watched_put
run(arguments)
"""
BOARDS = ("k-1", "k-2", "k-3")


@pytest.fixture(scope="module", autouse=True)
def lab(module_home: Path) -> Iterator[Path]:
    """Three boards."""
    made = command_line("lab", "up", "--boards", 3, "--profile", "generic-x86_64", "--name", "k", "--json")
    assert made.code == 0, made.err
    yield module_home / "lab" / "k"
    assert command_line("lab", "down", "--json").code == 0


@pytest.fixture
def host(models: Path) -> Callable[..., int]:
    """`host(point, board, name, *more, source="good.onnx")`: a deployment to all boards, one after another; its exit code."""

    def run(
        point: str, board: str, name: str, *more: object, source: str = "good.onnx", to: str = "all"
    ) -> int:
        command = ["deploy", models / source, "--to", to, "--name", name, "--target", "onnxruntime", "--precision", "fp32",
                   "--parallel", 1, "--json", *more]  # fmt: skip
        program = [sys.executable, "-c", KILLED, point, board, *map(str, command)]
        return subprocess.run(program, capture_output=True, check=False).returncode

    return run


def currents(lab: Path, model: str) -> list[str]:
    """The files that the applications on the boards would read; empty if there is none."""
    links = [lab / board / "home" / ".edgewright" / "models" / model / "current" for board in BOARDS]
    return [link.readlink().name if link.is_symlink() else "" for link in links]


def unfinished(model: str) -> list[dict[str, Any]]:
    """The unfinished deployments of a model that `status` names."""
    return [one for one in command_line("status", "--json").json["deployments"] if one["model"] == model]


def resumed(*more: object) -> tuple[Ran, dict[str, str]]:
    """Runs `deploy --resume`; returns its output, and the outcomes by board."""
    ran = command_line("deploy", "--resume", *more, "--json")
    return ran, {one["board"]: one["outcome"] for one in ran.json.get("outcomes", [])}


def recorded(model: str) -> dict[str, list[str]]:
    """The outcomes of each board in the history."""
    found: dict[str, list[str]] = {}
    for event in History().events(model=model):
        found.setdefault(event["board"], []).append(event["outcome"])
    return found


POINTS = [
    pytest.param("before Begin", marks=pytest.mark.slow),
    pytest.param("in the upload", marks=pytest.mark.slow),
    pytest.param("before Verify", marks=pytest.mark.slow),
    pytest.param("before Activate", marks=pytest.mark.slow),
    pytest.param("before Commit", marks=pytest.mark.slow),
    "after Commit",
]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("point", POINTS)
def test_exactly_what_was_left_is_finished(
    host: Run, lab: Path, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = point.lower().replace(" ", "-")
    assert host(point, "k-2", name) == -signal.SIGKILL
    first = currents(lab, name)
    assert first[0] and not first[2] and bool(first[1]) == ("Commit" in point)
    assert recorded(name) == {"k-1": ["committed"], "k-2": ["unfinished"], "k-3": ["unfinished"]}
    (left,) = unfinished(name)
    assert left["boards"] == ["k-2", "k-3"] and not left["running"]
    shown = command_line("status").out
    assert f"edgewright deploy --resume {left['id']}" in shown
    assert left["id"] in command_line("history", "--model", name).out

    planned, kinds = resumed("--dry-run")
    assert kinds == {"k-2": "planned", "k-3": "planned"}, planned.err
    assert currents(lab, name) == first and unfinished(name) == [left]

    opened: list[str] = []
    from edgewright.connect import opener

    real = opener.open_session
    monkeypatch.setattr(
        opener, "open_session", lambda board, *a, **k: opened.append(board.name) or real(board, *a, **k)
    )
    ran, kinds = resumed(left["id"])
    assert kinds == {"k-2": "committed", "k-3": "committed"} and ran.code == 0, ran.out
    assert set(opened) == {"k-2", "k-3"}
    release = first[0]
    assert currents(lab, name) == [release] * 3
    assert recorded(name) == {board: ["committed"] for board in BOARDS}
    assert unfinished(name) == []
    models = [one["result"] for one in command_line("status", "--json").json["boards"]]
    assert [one["models"][name]["trial"] for one in models] == [None] * 3
    again = command_line("deploy", "--resume", left["id"], "--json")
    assert (again.code, again.error["code"]) == (1, "nothing-left")


@pytest.mark.slow
def test_a_trial_that_the_board_ended_meanwhile_is_learned_from_it(host: Run, lab: Path) -> None:
    assert host("before Commit", "k-2", "late", "--deadline", 5) == -signal.SIGKILL
    deadline = time.monotonic() + 30
    while currents(lab, "late")[1] and time.monotonic() < deadline:
        time.sleep(0.2)
    ran, kinds = resumed()
    assert kinds == {"k-2": "reverted", "k-3": "committed"}, ran.err
    assert currents(lab, "late")[1] == "" and currents(lab, "late")[2] == currents(lab, "late")[0]
    assert unfinished("late") == []


@pytest.mark.slow
def test_boards_that_do_not_fit_the_plan_any_more_are_refused_one_by_one(
    host: Run, lab: Path, module_home: Path, deployed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert host("after Install", "k-1", "moved") == -signal.SIGKILL
    monkeypatch.setenv("EDGEWRIGHT_HISTORY", f"sqlite:///{module_home}/other.sqlite3")  # another machine's
    assert deployed("retrained.onnx", "--version", "7", to="k-1", model="moved").code == 0
    monkeypatch.delenv("EDGEWRIGHT_HISTORY")
    assert deployed("retrained.onnx", "--version", "8", to="k-2", model="moved").code == 0
    before = currents(lab, "moved")
    (left,) = unfinished("moved")
    assert left["boards"] == ["k-1", "k-3"]  # k-2 has a later deployment
    ran = command_line("deploy", "--resume", left["id"], "--json")
    found = {one["board"]: (one["outcome"], one["code"]) for one in ran.json["outcomes"]}
    assert found == {
        "k-1": ("refused", "conflict"),
        "k-2": ("refused", "superseded"),
        "k-3": ("committed", ""),
    }
    assert ran.code == 2 and currents(lab, "moved")[:2] == before[:2]
    assert all(one["hint"] for one in ran.json["outcomes"] if one["outcome"] == "refused")


@pytest.mark.slow
def test_without_its_artifact_a_board_waits_and_a_trial_is_still_learned(
    host: Run, lab: Path, module_home: Path
) -> None:
    assert host("before Commit", "k-2", "gone", source="retrained.onnx") == -signal.SIGKILL
    (artifact,) = {event["artifact"] for event in History().events(model="gone")}
    place = ArtifactStore(module_home / "artifacts").get(artifact).folder
    place.rename(module_home / "elsewhere")
    try:
        ran = command_line("deploy", "--resume", "--json")
    finally:
        (module_home / "elsewhere").rename(place)
    found = {one["board"]: one["outcome"] for one in ran.json["outcomes"]}
    assert found == {"k-2": "committed", "k-3": "refused"}
    assert "is gone or was changed" in ran.json["outcomes"][1]["message"]
    assert unfinished("gone")[0]["boards"] == ["k-3"]
    _, kinds = resumed()
    assert kinds == {"k-3": "committed"} and not unfinished("gone")


@pytest.mark.slow
def test_two_that_resume_at_once_and_plans_that_are_none(host: Run, lab: Path, module_home: Path) -> None:
    assert host("after Install", "k-1", "twice", to="k-1,k-2") == -signal.SIGKILL
    (left,) = unfinished("twice")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, "", "", "deploy", "--resume", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        try:
            assert other.stderr is not None
            assert any("verify" in line for line in other.stderr)
            other.send_signal(signal.SIGSTOP)
            refused = command_line("deploy", "--resume", left["id"], "--json")
            assert refused.error["code"] == "deployment-running"
            assert "at work" in command_line("history", "--model", "twice").out
            assert "is at work on k-1, k-2" in command_line("status", "k-1").out
            other.send_signal(signal.SIGCONT)
            out, _ = other.communicate(timeout=120)
        finally:
            other.kill()
    assert {one["outcome"] for one in json.loads(out)["result"]["outcomes"]} == {"committed"}

    assert host("before Begin", "k-1", "edited", to="k-1") == -signal.SIGKILL
    with closing(sqlite3.connect(module_home / "history.sqlite3")) as database, database:
        database.execute("update deployments set plan = replace(plan, 'edited', 'other')")
    for arguments, code in (
        (("--resume",), "plan-changed"),
        (("--resume", "nothing"), "not-found"),
        (("--resume", "--to", "k-1"), "usage"),
        ((), "usage"),
    ):
        refused = command_line("deploy", *arguments, "--json")
        assert refused.error["code"] == code, refused.out
        assert refused.error["hint"]
    assert currents(lab, "edited") == ["", "", ""]


@pytest.mark.slow
def test_status_names_a_board_that_was_restored_from_an_older_image(
    host: Run, lab: Path, tmp_path: Path
) -> None:
    assert host("", "", "imaged", "--version", "1", to="k-1") == 0
    root = lab / "k-1" / "home" / ".edgewright"
    shutil.copytree(root, tmp_path / "image", symlinks=True)
    assert host("", "", "imaged", "--version", "2", source="retrained.onnx", to="k-1") == 0
    assert not command_line("status", "--json").json["disagreements"]
    shutil.rmtree(root)
    shutil.copytree(tmp_path / "image", root, symlinks=True)
    (found,) = command_line("status", "--json").json["disagreements"]
    assert (found["board"], found["model"]) == ("k-1", "imaged")
    assert (
        found["current"].startswith("1-") and found["recorded"].startswith("2-") and not found["known_good"]
    )
    shown = command_line("status").out
    assert f"k-1: imaged is {found['current']}, the history has {found['recorded']}" in shown
    assert command_line("rollback", "imaged", "--on", "k-1").code == 2  # nothing before it
    assert host("", "", "imaged", "--version", "2", source="retrained.onnx", to="k-1") == 0
    assert not command_line("status", "--json").json["disagreements"]
