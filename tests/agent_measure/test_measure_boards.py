"""The facts of real boards: the agent's own code reads their files and the output of their programs.

Each folder of `boards/` is a board: `files/` replaces `/`, `programs.json` has the output of each program by path, `said.json` what
its kernel and Python report about themselves, `facts.json` and `doctor.json` the expected results, checked by hand; and `SOURCE`.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgewright import targets
from edgewright.doctor.board import diagnose
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts
from edgewright_agent.board import environment, facts, hardware, sensors, system

BOARDS = sorted(path for path in (Path(__file__).parent / "boards").iterdir() if path.is_dir())
OF_THE_DISK = ("disk_free_bytes", "disk_free_inodes", "root")


@pytest.fixture(params=BOARDS, ids=lambda path: path.name)
def board(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A board's folder; the agent's code then reads that board in place of this machine."""
    folder: Path = request.param
    top = tmp_path / "top"
    (top / "usr/bin").mkdir(parents=True)
    for path, printed in json.loads((folder / "programs.json").read_text()).items():
        program = top / path.lstrip("/")
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\nprintf %s {shlex.quote(printed)} >&2\n")
        program.chmod(0o755)
    for file in sorted((folder / "files").rglob("*")):
        if file.is_file():
            (top / file.relative_to(folder / "files")).parent.mkdir(parents=True, exist_ok=True)
            (top / file.relative_to(folder / "files")).write_bytes(file.read_bytes())
    said = json.loads((folder / "said.json").read_text())
    monkeypatch.setattr(sensors, "TOP", str(top))
    monkeypatch.setattr(sensors, "TOOL_SECONDS", 60)
    monkeypatch.setattr(hardware, "said", lambda: said)
    monkeypatch.setattr(system, "import_path", lambda: [str(top / "usr/lib/python3/dist-packages")])
    return folder


def read(root: Path) -> dict[str, Any]:
    """What the agent answers, without what is this machine's disk."""
    found = facts.read(str(root), [], tuple(targets.system_distributions()))
    assert found["root_problem"] == ""
    return {key: value for key, value in found.items() if key not in OF_THE_DISK}


def test_a_real_board_gives_these_facts(board: Path, tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found == json.loads((board / "facts.json").read_text())
    msgspec.convert({**found, "root": str(tmp_path)}, Facts, strict=True)


def test_doctor_names_its_profile_or_what_does_not_fit(board: Path, tmp_path: Path) -> None:
    known = targets.recognised(msgspec.convert(read(tmp_path), Facts, strict=True))
    diagnosis = diagnose(Board(name="kitchen", address="192.0.2.7"), known)
    said = {
        "profile": diagnosis.profile,
        "ready": diagnosis.ready,
        "targets": {one.target: one.runtime.split(" ")[0] or one.why for one in diagnosis.targets},
        "findings": [f"{one.level}: {one.message}" for one in diagnosis.findings],
    }
    assert all(one.hint for one in diagnosis.findings)
    assert said == json.loads((board / "doctor.json").read_text())


def test_a_measurement_knows_the_same_temperature(board: Path, tmp_path: Path) -> None:
    zones = json.loads((board / "facts.json").read_text())["thermal"]
    expected = max(zone["temperature_c"] for zone in zones if zone["cpu"])
    assert environment.read()["temperature_c"] == expected


def test_each_board_says_where_its_files_come_from() -> None:
    assert len(BOARDS) >= 11
    for folder in BOARDS:
        source = (folder / "SOURCE").read_text()
        assert "omposed" in source, folder.name
        assert "serial" in source.lower() or "Serial" not in (folder / "files/proc/cpuinfo").read_text(), (
            folder.name
        )
