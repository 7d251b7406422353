"""Finds the Python of simulated boards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from edgewright.lab.registry.state import LabError

BOARD_PATH = "/usr/local/bin:/usr/bin:/bin"  # the PATH of a login over sshd
OLDEST = (3, 6)


def choose(python: str | None) -> str | None:
    """The absolute path for the fleet file, or None if a board's own `python3` will do.

    Raises:
        LabError: it is not a Python, or it is too old.
    """
    if python is None:
        if shutil.which("python3", path=BOARD_PATH):
            return None
        python = getattr(sys, "_base_executable", "") or sys.executable
    path = Path(python).expanduser().absolute()
    answer = ask(path, "import sys; print('python %d %d' % sys.version_info[:2])")
    if tuple(map(int, answer.split()[1:])) < OLDEST:
        raise LabError(f"the python of a board must be 3.6 or newer: {path}: {answer}")
    return str(path)


@cache
def folders(python: str | None) -> list[Path]:
    """The folders that a Python needs at run time, which a board must be able to see."""
    if python is None:
        return []
    answer = ask(
        Path(python),
        "import os, sys; print(os.path.realpath(sys.executable)); print(sys.prefix); print(sys.base_prefix)",
    )
    real, prefix, base = (Path(line) for line in answer.splitlines())
    paths = {Path(python).parent, real.parent, prefix, base}
    outermost = {
        path for path in paths if not any(path != other and path.is_relative_to(other) for other in paths)
    }
    return sorted(outermost)


def ask(python: Path, program: str) -> str:
    """Runs a program with a Python and returns its output."""
    hint = "give the absolute path of a python3 that runs on this machine"
    if not os.access(python, os.X_OK) or python.is_dir():
        raise LabError(f"no such python: {python}", hint=hint)
    try:
        done = subprocess.run(
            [python, "-I", "-c", program], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        raise LabError(f"not a python: {python}", hint=hint) from None
    if not done.stdout:
        raise LabError(f"not a python: {python}", hint=hint)
    return done.stdout.strip()
