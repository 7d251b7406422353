"""Starts the built-in SSH server of a simulated board if OpenSSH is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from edgewright.lab.registry import state
from edgewright.lab.registry.state import BoardRecord, LabError
from edgewright.lab.servers.openssh import PortTakenError, last_line

START_SECONDS = 60.0
PORT_TAKEN_EXIT = 98


def write_config(folder: Path, board: BoardRecord, public: str) -> None:
    """Writes the server's configuration: `server.json` in the board's folder."""
    config = {
        "port": board.port,
        "user": board.user,
        "home": str(folder / "home"),
        "host_key": str(folder / "host_key"),
        "client_key": public,
        "pid_file": str(folder / "server.pid"),
        "log": str(folder / "server.log"),
    }
    (folder / "server.json").write_text(json.dumps(config, indent=1) + "\n")


def start(lab: str, board: BoardRecord) -> int:
    """Starts the board's server, which detaches itself once it listens. Returns its process id.

    Raises:
        PortTakenError: another program has its port.
        LabError: it did not start; the message quotes its output.
    """
    folder = state.board_folder(lab, board.name)
    pid_file = folder / "server.pid"
    pid_file.unlink(missing_ok=True)
    arguments = [sys.executable, "-m", "edgewright.lab.servers.paramiko_server", str(folder / "server.json")]
    with (folder / "start.log").open("wb") as errors:
        done = subprocess.run(
            arguments, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, timeout=START_SECONDS,
            check=False, env={**os.environ, "HOME": str(folder / "home")},  # `processes` recognises it by HOME
        )  # fmt: skip
    if done.returncode == PORT_TAKEN_EXIT:
        raise PortTakenError(board.name)
    if done.returncode:
        raise LabError(
            f"the built-in server of {board.name} did not start: {last_line(folder / 'start.log')}"
        )
    return int(pid_file.read_text())
