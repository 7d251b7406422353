"""Lab boards for benchmarks: a lab with a separate state folder, and the options for `ssh` and similar tools to reach it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgewright.lab import boards
from edgewright.lab.boards import LabBoard

RESTART_SECONDS = 10.0


@dataclass(frozen=True)
class Lab:
    """A running lab.

    Attributes:
        folder: scratch space; removed at the end.
        known_hosts: the boards' host keys, as OpenSSH reads them.
    """

    folder: Path
    fleet: Path
    boards: Sequence[LabBoard]
    known_hosts: Path

    def options(self, board: LabBoard) -> list[str]:
        """OpenSSH's options for one board, without the port, which `ssh` and `scp` spell differently."""
        settings = {
            "UserKnownHostsFile": str(self.known_hosts), "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes", "BatchMode": "yes", "LogLevel": "ERROR",
        }  # fmt: skip
        flags = [flag for key, value in settings.items() for flag in ("-o", f"{key}={value}")]
        return ["-F", "none", "-i", str(board.identity), *flags]

    def home(self, board: LabBoard) -> Path:
        """The home folder of a board's login, as this machine sees it."""
        return board.folder / "home"

    def forget(self, board: LabBoard) -> None:
        """Removes what was uploaded, so that the next round uploads again."""
        for file in (*board.root.glob("incoming/*"), *self.home(board).glob("payload*")):
            file.unlink()


@contextmanager
def lab(count: int, *, python: str | None = None) -> Iterator[Lab]:
    """Starts `count` boards with OpenSSH; removes them completely at the end.

    Args:
        python: absolute path of the boards' Python; by default the first one that their login finds.
    """
    folder = Path(tempfile.mkdtemp(prefix="edgewright-bench-"))
    before = os.environ.get("EDGEWRIGHT_HOME")
    os.environ["EDGEWRIGHT_HOME"] = str(folder / "home")
    fleet = folder / "fleet.toml"
    try:
        started = boards.up(count, fleet_path=fleet, python=python)
        for board in started:
            allow_sftp(board)
        known_hosts = folder / "known_hosts"
        lines = [
            f"[{board.address}]:{board.port} {(board.folder / 'host_key.pub').read_text().strip()}\n"
            for board in started
        ]
        known_hosts.write_text("".join(lines))
        yield Lab(folder, fleet, started, known_hosts)
    finally:
        boards.down()
        shutil.rmtree(folder, ignore_errors=True)
        if before is None:
            del os.environ["EDGEWRIGHT_HOME"]
        else:
            os.environ["EDGEWRIGHT_HOME"] = before


def allow_sftp(board: LabBoard) -> None:
    """Enables on a board the SFTP that scp and pyinfra need; lab boards do not have it, as edgewright does not use it.

    Raises:
        TimeoutError: its sshd does not load the new configuration.
    """
    config, log = board.folder / "sshd_config", board.folder / "server.log"
    config.write_text(f"{config.read_text()}Subsystem sftp internal-sftp\n")
    os.kill(board.pid, signal.SIGHUP)
    until = time.monotonic() + RESTART_SECONDS
    while log.read_text().count("Server listening") < 2:  # once at its start, once now
        if time.monotonic() > until:
            raise TimeoutError(f"the sshd of {board.name} did not start again")
        time.sleep(0.01)


def random_file(path: Path, megabytes: float) -> Path:
    """Writes `megabytes` (1 MB = 10**6 bytes) of random bytes, which cannot be compressed."""
    left = int(megabytes * 1e6)
    with path.open("wb") as file:
        while left:
            left -= file.write(os.urandom(min(left, 1 << 20)))
    return path
