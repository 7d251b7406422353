"""Finds the Pythons on this machine, for toolchains that need another version."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from edgewright.nouns.base import Noun
from edgewright.nouns.target import numbers

_PROBE = (
    "import sys, platform; v = '.'.join(str(n) for n in sys.version_info[:3])\n"
    "try:\n import venv, ensurepip; able = 1\n"
    "except ImportError:\n able = 0\n"
    "print(v, able, int(sys.maxsize > 2**32), platform.machine())"
)
_NAME = re.compile(r"python(3(\.\d+)?)?$")
_SECONDS = 20


class Python(Noun, frozen=True, kw_only=True):
    """An interpreter. `venv`: it can create virtual environments with pip (Debian packages that separately)."""

    path: Path
    version: str
    venv: bool
    machine: str

    def within(self, pythons: str) -> bool:
        """Whether its minor version is within a range such as `3.6-3.9`, inclusive."""
        first, last = pythons.split("-")
        return numbers(first) <= numbers(self.version)[:2] <= numbers(last)


def ask(path: Path) -> Python | None:
    """The properties of an interpreter; None if it does not run, or is not Python 3."""
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", _PROBE], capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    words = done.stdout.split()
    if done.returncode or len(words) != 4 or not words[0].startswith("3."):
        return None
    return Python(path=path, version=words[0], venv=words[1] == "1", machine=words[3])


def found() -> list[Python]:
    """Every interpreter that runs: from PATH, pyenv's versions, /usr/bin and /usr/local/bin; newest first, without duplicates."""
    seen: set[Path] = set()
    pythons: list[Python] = []
    for path in _candidates():
        real = path.resolve()
        if real in seen:
            continue
        seen.add(real)
        if (python := ask(path)) is not None:
            pythons.append(python)
    return sorted(pythons, key=lambda python: numbers(python.version), reverse=True)


def _candidates() -> Iterator[Path]:
    yield Path(sys.executable)
    roots = {Path(root).expanduser() for root in (os.environ.get("PYENV_ROOT", ""), "~/.pyenv") if root}
    for root in sorted(roots):
        yield from sorted(root.glob("versions/*/bin/python"))
    shims = {root / "shims" for root in roots}  # a shim runs whatever pyenv has selected, or nothing
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for folder in dict.fromkeys([*folders, Path("/usr/bin"), Path("/usr/local/bin")]):
        if folder in shims:
            continue
        try:
            names = sorted(item.name for item in folder.iterdir() if _NAME.fullmatch(item.name))
        except OSError:
            continue
        yield from (folder / name for name in names)
