"""The Python API on boards of this machine, without SSH."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import pytest
from command_line import command_line

import edgewright as ew
from edgewright.deployments import executor


@pytest.fixture
def fleet(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ew.Fleet:
    """Two boards, one of which takes a second to start."""
    late = tmp_path / "late-python"
    late.write_text(f'#!/bin/sh\nsleep 1.2\nexec {sys.executable} "$@"\n')
    late.chmod(0o755)
    boards = {"here": sys.executable, "late": str(late)}
    path = tmp_path / "fleet.toml"
    path.write_text("".join(
        f'[boards.{name}]\naddress = "local:"\nroot = "{tmp_path / name}"\npython = "{python}"\n'
        for name, python in boards.items()
    ))  # fmt: skip
    monkeypatch.setenv("EDGEWRIGHT_FLEET", str(path))
    return ew.Fleet.load()


def test_a_board_whose_state_is_lost_is_not_well(fleet: ew.Fleet, tmp_path: Path) -> None:
    here = fleet.select("here")
    assert ew.status(here).ok
    for number in (0, 1):
        (tmp_path / f"here/state.{number}.json").write_text("damaged")
    found = ew.status(here)
    assert found.damaged and not found.ok and found.problems[0].hint
    shown, typed = command_line("status", "here"), command_line("status", "here", "--json")
    assert (shown.code, typed.code, json.loads(typed.out)["ok"]) == (2, 2, False)
    assert "both copies of the board's state are damaged" in shown.out


def test_an_early_callback_that_fails_loses_nothing(
    fleet: ew.Fleet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[list[str]] = []

    def broken(part: ew.StatusResult) -> None:
        calls.append([one.board for one in part.boards])
        raise ew.EdgewrightError("the display is gone")

    monkeypatch.setattr(executor, "EARLY_SECONDS", 0.0)
    with caplog.at_level(logging.ERROR, "edgewright"):
        found = ew.status(fleet, parallel=1, early=broken)
    assert found.ok and [one.board for one in found.boards] == ["here", "late"]
    assert calls == [["here"]] and "early callback" in caplog.text


def test_a_board_without_ssh_needs_no_host_key(fleet: ew.Fleet) -> None:
    added = command_line("fleet", "add", "more", "local:")
    assert (added.code, "fleet trust" in added.err) == (0, False)
    assert "fleet trust more" in command_line("fleet", "add", "more", "192.0.2.7").err
    (row,) = command_line("fleet", "trust", "here", "--json").json["keys"]
    assert row["ok"] and "without SSH" in row["message"]
    assert command_line("fleet", "trust", "here", "--known-hosts").code == 0
