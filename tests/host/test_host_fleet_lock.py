"""Several programs change the fleet file and its pins at once, and no change is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgewright.config import fleet as fleets
from edgewright.config import trust
from edgewright.nouns.board import BoardEntry

COUNT = 40
ADD = """
import sys
from edgewright.cli.main import main
fleet, word, count = sys.argv[1:]
sys.stdin.readline()
for number in range(int(count)):
    assert main(["fleet", "add", f"{word}-{number}", "192.0.2.1", "--fleet", fleet]) == 0
"""
PIN = """
import sys
from pathlib import Path
from edgewright.config import fleet, trust
from edgewright.nouns.board import Pin
path, word, count = sys.argv[1:]
loaded = fleet.load(Path(path))
sys.stdin.readline()
for number in range(int(count)):
    with trust.changing(loaded) as pins:
        pins.boards[f"{word}-{number}"] = Pin(host_key="ssh-ed25519 AAAA")
"""


def two_at_once(program: str, path: Path) -> set[str]:
    """Runs a program twice at the same time; returns the names that both should write."""
    words = ("one", "two")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, path, word, str(COUNT)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        for word in words
    ]  # fmt: skip
    for process in running:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in running:
        _out, said = process.communicate(timeout=60)
        assert process.returncode == 0, said.decode()
    return {f"{word}-{number}" for word in words for number in range(COUNT)}


def test_boards_that_two_programs_add_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "fleet.toml"
    assert two_at_once(ADD, path) == set(fleets.load(path).boards)
    assert [entry.name for entry in path.parent.iterdir()] == ["fleet.toml"]


def test_pins_of_two_programs_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    fleets.save(path, fleets.read_or_new(path))
    assert two_at_once(PIN, path) == set(trust.load(fleets.load(path)).boards)


def test_nothing_is_written_where_nothing_changed_or_the_change_failed(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    with fleets.changing(path):
        pass
    assert not path.exists()
    try:
        with fleets.changing(path) as file:
            file.boards["one"] = BoardEntry(address="192.0.2.1")
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert not path.exists()
    with fleets.changing(path) as file:
        file.boards["one"] = BoardEntry(address="192.0.2.1")
    before = path.stat().st_ino
    with fleets.changing(path):
        pass
    assert path.stat().st_ino == before
