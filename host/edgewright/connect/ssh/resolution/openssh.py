"""Asks the OpenSSH client: `ssh -G HOST` prints what it would use, `Match exec` and all."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from edgewright.connect.ssh.resolution.settings import Query, Table
from edgewright.errors import ConfigError

LIMIT_SECONDS = 5.0
MOST_BYTES = 1 << 20
_KNOWN_HOSTS = ("userknownhostsfile", "globalknownhostsfile")  # on one line, and expanded by `ssh -G` itself


def client() -> str | None:
    """The path of the OpenSSH client; None if this machine has none."""
    return shutil.which("ssh")


def is_openssh(program: str) -> bool:
    """Whether a program named `ssh` is OpenSSH's: that of Dropbear knows no `-G`."""
    return version(program) > (0, 0)


@functools.lru_cache(maxsize=8)
def version(program: str) -> tuple[int, int]:
    """The version of an OpenSSH client, such as (9, 2); (0, 0) if it is another program."""
    try:
        done = subprocess.run(
            [program, "-V"], stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0, 0
    found = re.search(rb"OpenSSH[^0-9]{0,20}(\d{1,3})\.(\d{1,3})", done.stderr + done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def table_of(query: Query, program: str, file: Path | None = None) -> Table:
    """What `ssh -G` says about a host.

    Args:
        file: the configuration to read instead of the user's and the system's.

    Raises:
        ConfigError: the configuration is wrong, or a command in it takes more than five seconds.
    """
    arguments = [program, "-T", "-G", *_options(query, file), "--", query.alias]
    # files, not pipes: what a `Match exec` leaves behind would hold a pipe open
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=said, stderr=log, start_new_session=True
        )
        code = exit_code(process, LIMIT_SECONDS)
        if code is None:
            raise ConfigError(
                f"`ssh -G {query.alias}` took longer than {LIMIT_SECONDS:g} s",
                hint="a `Match exec` of the SSH configuration hangs, or a name server; try that command by hand",
            )
        out, err = (_start_of(file) for file in (said, log))
    if code or not out:
        raise ConfigError(
            f"`ssh -G {query.alias}` failed: {_telling(err, code)}",
            hint="fix that in the SSH configuration",
        )
    return parsed(out.decode("utf-8", "replace"))


def parsed(text: str) -> Table:
    """The keywords that `ssh -G` printed."""
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        keyword, _, value = line.partition(" ")
        values = [value]
        if keyword in _KNOWN_HOSTS:
            values = [_of_this_home(one).replace("%", "%%") for one in value.split()]
        found[keyword] = (*found.get(keyword, ()), *values)
    return found


def _options(query: Query, file: Path | None) -> list[str]:
    options = [] if query.user is None else ["-l", query.user]
    options += [] if query.port is None else ["-p", str(query.port)]
    if file is None and _system_home() != str(Path.home()):
        file = Path.home() / ".ssh" / "config"
        file = file if file.exists() else Path("none")
    return options if file is None else [*options, "-F", str(file)]


def _of_this_home(path: str) -> str:
    """A path in the home folder that the system knows, which `ssh` takes, as one in $HOME."""
    there = _system_home() + "/"
    return str(Path.home() / path.removeprefix(there)) if path.startswith(there) else path


def _system_home() -> str:
    """The user's home folder as the system knows it; $HOME for a user that it does not know, as in many containers."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_dir.rstrip("/")
    except (ImportError, KeyError):
        return str(Path.home())


def _start_of(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read(MOST_BYTES)


def exit_code(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Waits for a program, the leader of its group. None if it takes longer: then it is ended with what it started."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _telling(err: bytes, code: int) -> str:
    """The lines of an error, as one."""
    lines = [line.strip() for line in err.decode("utf-8", "replace").splitlines() if line.strip()]
    return "; ".join(lines[:3]) or f"exit code {code}"
