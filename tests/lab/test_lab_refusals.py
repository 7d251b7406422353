"""Refusals of an emulated lab: one line with what to do, and nothing left behind. All causes are real."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = [
    sys.executable,
    "-c",
    "import sys; from edgewright.cli.main import main; sys.exit(main(sys.argv[1:]))",
]
UP = ["lab", "up", "--arch", "arm64", "--boards", "1"]
IN_A_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "--", "/bin/sh", "-c"]


def refused(command: list[str], home: Path, **more: str) -> str:
    """The error and hint that an impossible `lab up` prints on stderr; it leaves nothing behind."""
    done = subprocess.run(
        command, cwd=home, capture_output=True, text=True, timeout=100, env={**os.environ, **more}
    )
    assert done.returncode == 1 and done.stdout == ""
    said = [line for line in done.stderr.splitlines() if line.startswith(("error:", "hint:"))]
    assert [line.split(":")[0] for line in said] == ["error", "hint"], done.stderr
    left = {str(path.relative_to(home)) for path in home.rglob("*") if "userlands" not in path.parts}
    assert left <= {"logs"} and list(home.glob("userlands/*")) == []
    return "\n".join(said)


@pytest.mark.parametrize(
    ("more", "missing", "packages"),
    [
        ([], "qemu's user-mode emulator", "qemu-user-static"),
        (
            ["--vm"],
            "qemu-system-aarch64, qemu-img, fdtput",
            "qemu-system-arm qemu-utils device-tree-compiler",
        ),
    ],
)
def test_a_missing_emulator_comes_with_the_line_that_installs_it(
    home: Path, tmp_path: Path, more: list[str], missing: str, packages: str
) -> None:
    said = refused([*PROGRAM, *UP, *more], home, PATH=str(tmp_path))
    assert missing in said and f"`sudo apt-get install {packages}`" in said


@pytest.mark.usefixtures("emulator")
def test_a_missing_unshare_comes_with_the_line_that_installs_it(home: Path) -> None:
    script = 'mount --bind /dev/null "$(readlink -f "$(command -v unshare)")"; exec "$@"'
    said = refused([*IN_A_NAMESPACE, script, "sh", *PROGRAM, *UP], home)
    assert "arm64 boards need unshare" in said and "`sudo apt-get install util-linux`" in said


@pytest.mark.usefixtures("emulator")
def test_a_machine_without_user_namespaces_is_told_of_the_whole_machine(home: Path) -> None:
    script = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    said = refused([*IN_A_NAMESPACE, script, "sh", *PROGRAM, *UP], home)
    assert "does not let its users make namespaces" in said and "`--vm`" in said


def test_an_old_kernel_is_told_of_the_whole_machine(home: Path) -> None:
    said = refused(["setarch", "--uname-2.6", *PROGRAM, *UP], home)
    assert "this kernel cannot run arm64 programs" in said and "2.6." in said and "--vm" in said


@pytest.mark.usefixtures("emulator")
def test_a_disk_without_room_is_told_before_anything_is_fetched(home: Path) -> None:
    script = 'mount -t tmpfs -o size=100m none "$EDGEWRIGHT_HOME"; cd "$EDGEWRIGHT_HOME"; exec "$@"'
    said = refused([*IN_A_NAMESPACE, script, "sh", *PROGRAM, *UP], home)
    assert "MiB free, the userland needs 700 MiB while it is made" in said
    assert "EDGEWRIGHT_HOME" in said


@pytest.mark.slow
@pytest.mark.usefixtures("emulator")
def test_a_disk_that_fills_up_on_the_way_leaves_no_half_userland(home: Path) -> None:
    """The tmpfs reports free space but limits the number of its files."""
    script = (
        'mount -t tmpfs -o size=4g,nr_inodes=300 none "$EDGEWRIGHT_HOME"; cd "$EDGEWRIGHT_HOME"; "$@"; code=$?; '
        'ls -A userlands lab 2>/dev/null | tr "\\n" " "; exit $code'
    )
    done = subprocess.run(
        [*IN_A_NAMESPACE, script, "sh", *PROGRAM, *UP], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 1 and "No space left on device" in done.stderr
    assert done.stdout.split() in (["userlands:", ".lock"], [".lock"])


@pytest.mark.usefixtures("emulator")
def test_ctrl_c_while_a_userland_is_made_leaves_nothing(home: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, *UP],
        cwd=home,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + 60
        while not list(home.glob("userlands/.making-*/cache/archives/*.deb")):
            assert time.monotonic() < until and process.poll() is None, "no package came"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        _, said = process.communicate(timeout=60)
    assert process.returncode == 8 and "Traceback" not in said
    assert [path.name for path in (home / "userlands").iterdir()] == [".lock"]
    assert not (home / "lab").exists() and not (home / "fleet.toml").exists()
