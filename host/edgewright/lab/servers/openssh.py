"""A simulated board's server: unprivileged OpenSSH."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgewright.lab.emulation import architectures, isolation, userland_board
from edgewright.lab.registry import state
from edgewright.lab.registry.state import BoardRecord, LabError

PLACES = (
    "/usr/sbin/sshd",
    "/usr/local/sbin/sshd",
    "/usr/bin/sshd",
    "/usr/local/bin/sshd",
    "/opt/homebrew/sbin/sshd",
)
START_SECONDS = 20.0
MISSING_FOLDER = re.compile(r"[Mm]issing privilege separation directory: (/\S+)")
CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey "{folder}/host_key"
AuthorizedKeysFile "{escaped}/authorized_keys"
PidFile "{folder}/server.pid"
UsePAM no
StrictModes no
PasswordAuthentication no
ChallengeResponseAuthentication no
PubkeyAuthentication yes
PermitRootLogin prohibit-password
PermitUserEnvironment {environment}
PrintMotd no
PrintLastLog no
UseDNS no
MaxStartups 100:30:200
MaxSessions 100
LogLevel INFO
"""
PASSED_ON = ("EDGEWRIGHT_X86_VNNI",)  # a run that sets it wants the same on its boards
NO_PENALTIES = "PerSourcePenalties no\n"  # for 9.8 and newer: all clients of a lab share one address


class PortTakenError(Exception):
    """Another program has taken the port."""


def find() -> str | None:
    """The absolute path of this machine's sshd, which refuses to start by any other name."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:{isolation.PATH}")
    return (
        str(Path(found).absolute())
        if found
        else next((path for path in PLACES if os.access(path, os.X_OK)), None)
    )


class View(NamedTuple):
    """How a program is run in a board's environment: the arguments before its own, and the environment variables."""

    prefix: list[str]
    environment: dict[str, str]


def view_of(lab: str, board: BoardRecord, keep: Sequence[Path]) -> View:
    """The view of the board's own root file system, else of this machine's."""
    folder = state.board_folder(lab, board.name)
    environment = {"PATH": isolation.PATH, "HOME": str(folder / "home")}
    if emulation := architectures.emulation_of(board):
        text = userland_board.script(folder, emulation.architecture, name=board.name)
        return View(
            isolation.command(text), {**environment, **userland_board.environment(emulation.architecture)}
        )
    if board.isolated:
        text = isolation.script(folder, name=board.name, hide=isolation.hidden(state.root()), keep=keep)
        return View(isolation.command(text), environment)
    return View([], environment)


def write_config(folder: Path, board: BoardRecord, public: str, sshd: str, view: View) -> None:
    """Writes `sshd_config` and `authorized_keys` into the board's folder, and checks them with sshd itself.

    An sshd that root runs without isolation needs the folder that Debian's service creates at boot. If missing, it is
    created and kept, because another sshd may come to rely on it.
    """
    prefix = "" if board.isolated else f'environment="HOME={folder / "home"}" '
    (folder / "authorized_keys").write_text(f"{prefix}{public}\n")
    escaped = str(folder).replace("%", "%%")  # percent signs start tokens such as %u
    text = CONFIG.format(
        port=board.port, folder=folder, escaped=escaped, environment="no" if board.isolated else "yes"
    )
    # sshd gives its sessions a new environment
    wanted = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name) in ("0", "1")}
    if emulation := architectures.emulation_of(board):
        wanted |= userland_board.environment(emulation.architecture)
    if wanted:
        text += f"SetEnv {' '.join(f'{key}={value}' for key, value in wanted.items())}\n"
    path = folder / "sshd_config"
    path.write_text(text + NO_PENALTIES)
    complaint = check(sshd, path, view)
    if "PerSourcePenalties" in complaint:
        path.write_text(text)
        complaint = check(sshd, path, view)
    missing = MISSING_FOLDER.search(complaint)
    if missing and not board.isolated:
        Path(missing[1]).mkdir(mode=0o755, parents=True, exist_ok=True)
    elif complaint and not missing:
        raise LabError(
            f"sshd refuses its configuration: {complaint}", hint="`--sshd built-in` goes without OpenSSH"
        )


def check(sshd: str, config: Path, view: View) -> str:
    """sshd's objection to a configuration; empty if it has none."""
    done = subprocess.run(
        [*view.prefix, sshd, "-t", "-f", str(config)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env=view.environment,
    )
    return done.stderr.strip() if done.returncode else ""


def start(lab: str, board: BoardRecord, sshd: str, view: View) -> int:
    """Starts the board's sshd, which detaches itself; returns once it listens.

    Returns:
        Its process id.

    Raises:
        PortTakenError: another program has its port.
        LabError: sshd did not start; the message quotes its output.
    """
    folder = state.board_folder(lab, board.name)
    log, pid_file = folder / "server.log", folder / "server.pid"
    for old in (log, pid_file):
        old.unlink(missing_ok=True)
    server = [*view.prefix, sshd, "-f", str(folder / "sshd_config"), "-E", str(log)]
    with (folder / "start.log").open("wb") as errors:
        done = subprocess.run(
            server, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, timeout=60, check=False,
            env=view.environment, cwd="/",
        )  # fmt: skip
    if done.returncode:
        raise LabError(
            f"sshd of {board.name} did not start: {last_line(log) or last_line(folder / 'start.log')}"
        )
    return wait(board.name, log, pid_file)


def wait(name: str, log: Path, pid_file: Path) -> int:
    """Waits until sshd has written its process id, which it does once it listens."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if pid_file.exists() and (text := pid_file.read_text().strip()):
            return int(text)
        said = log.read_text(errors="replace") if log.exists() else ""
        if "Cannot bind any address" in said:
            raise PortTakenError(name)
        if "fatal" in said:
            break
        time.sleep(0.005)
    raise LabError(
        f"sshd of {name} did not start: {last_line(log)}", hint="`--sshd built-in` goes without OpenSSH"
    )


def last_line(path: Path) -> str:
    """The last line of a log, for a message."""
    lines = path.read_text(errors="replace").split("\n") if path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
