"""tools/system, where programs are really missing: what it installs, and what it says where it may not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import needs
import pytest

TOOLS = Path(__file__).parents[2] / "tools"
# puts what stands in for a program where the real one would be; one package is out of reach
APT = """#!/bin/sh
echo "$@" >>"$APT_LOG"
case "$*" in *install*device-tree-compiler*) echo 'E: Unable to locate package device-tree-compiler'; exit 100 ;; esac
case "$*" in *install*openssh-server*) touch /usr/local/bin/sshd; chmod 755 /usr/local/bin/sshd ;; esac
"""


def system(*arguments: str, without: str, **environment: str) -> tuple[int, list[str]]:
    """Exit code and stderr of tools/system on a machine without these programs."""
    own = {key: value for key, value in os.environ.items() if key != "CI"}
    command = [TOOLS / "without", without, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**own, **environment}, timeout=60)
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def test_every_row_is_whole_and_each_program_stands_once() -> None:
    found = needs.rows()
    lines = [
        line for line in (TOOLS / "system_packages").read_text().splitlines() if line[:1] not in ("#", "")
    ]
    assert len(found) == len(lines) > 10
    assert {row.kind for row in found.values()} == {"need", "test"}


def test_a_machine_that_has_all_is_left_alone() -> None:
    if os.environ.get("CI"):
        assert [command for command in needs.rows() if not needs.there(command)] == []
    assert system(str(TOOLS / "system"), "need", without="apt-get") == (0, [])


@pytest.mark.parametrize(
    ("missing", "wanted", "ci", "code", "said"),
    [
        ("sshd", "need", "", 1, ["error: this machine lacks sshd (this system has no apt-get)", "openssh-server"]),
        ("fish,sshd", "need", "", 1, ["error: this machine lacks sshd (", "openssh-server"]),
        ("fish,sshd", "test", "", 1, ["error: this machine lacks sshd (", "openssh-server fish"]),
        ("fish,csh", "test", "", 0, ["note: without csh, fish some tests are skipped ("]),
        ("fish,csh", "test", "true", 1, ["error: this machine lacks csh, fish (", "csh fish"]),
    ],
)  # fmt: skip
def test_where_nothing_may_be_installed_it_says_what_to_type(
    missing: str, wanted: str, ci: str, code: int, said: list[str]
) -> None:
    needs.tool(*needs.rows())
    more = {"CI": ci} if ci else {}
    ended, lines = system(str(TOOLS / "system"), wanted, without=f"{missing},apt-get,sudo", **more)
    assert (ended, len(lines)) == (code, len(said))
    assert lines[0].startswith(said[0])
    assert code == 0 or (lines[1].startswith("hint: ") and lines[1].endswith(said[1]))


def test_where_it_may_it_installs_what_is_missing_and_no_more(tmp_path: Path) -> None:
    """apt-get itself is played: the real one would change this machine."""
    needs.tool(*needs.rows())
    apt, log = tmp_path / "apt-get", tmp_path / "log"
    apt.write_text(APT)
    apt.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    code, lines = system(str(TOOLS / "system"), "test", without="sshd,fdtput", PATH=path, APT_LOG=str(log))
    asked = [line.split()[4:] for line in log.read_text().splitlines()]
    both = ["openssh-server", "device-tree-compiler"]
    assert lines[0].startswith("installing openssh-server")
    assert asked[0] == ["update"]
    assert [names[2:] for names in asked[1:]] == [both, both[:1], both[1:]]
    assert code == 0
    assert lines[1:] == [
        "note: without fdtput some tests are skipped (apt-get: Unable to locate package device-tree-compiler): "
        "apt-get install device-tree-compiler"
    ]
