"""What a test needs on the machine: without it the test is skipped, and the end of the run reports what to install.

In CI a skip is a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

from edgewright.compile.toolchains import environments
from edgewright.errors import ConversionError

_LIST = Path(__file__).parents[2] / "tools/system_packages"
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
# read before a test moves HOME
PYENV = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
_LACKS = re.compile(r"(?:Skipped: )?lacks (?P<tools>.+?): (?P<how>\S+ install) (?P<what>.+)")


class Row(NamedTuple):
    """One line of tools/system_packages: the packages of a program, with commas between them."""

    package: str
    kind: str


def rows() -> dict[str, Row]:
    """Command -> its row."""
    lines = [line.split() for line in _LIST.read_text().splitlines() if not line.startswith("#")]
    return {command: Row(package, kind) for command, package, kind in filter(None, lines)}


def there(command: str) -> bool:
    """Whether a program is on this machine."""
    return shutil.which(command, path=_PATH) is not None


def tool(*commands: str) -> None:
    """Skips the test, or the tests of the fixture that calls this, if one of the programs is missing."""
    missing = [command for command in commands if not there(command)]
    if missing:
        known = rows()
        packages = [known[command].package if command in known else command for command in missing]
        _skip(missing, f"apt-get install {' '.join(packages).replace(',', ' ')}")


def _skip(missing: list[str], how: str) -> NoReturn:
    pytest.skip(f"lacks {', '.join(missing)}: {how}")


def python(version: str) -> Path:
    """A Python of a version such as `3.6`: pyenv's, else this machine's own; skips if there is none."""
    found = sorted(PYENV.glob(f"{version}.*/bin/python"))
    path = str(found[0]) if found else shutil.which(f"python{version}")
    runs = path and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0
    if path is None or not runs:  # a shim of pyenv's leads nowhere once its version is gone
        _skip([f"python{version}"], f"pyenv install {version}")
    return Path(path)


def toolchain(name: str) -> None:
    """Skips if this machine has no Python that can make a toolchain."""
    row = environments.toolchain(name)
    try:
        environments.choose_python(row)
    except ConversionError as error:
        if error.code != "python-missing":
            raise
        version = row.pythons.rpartition("-")[2]
        _skip([f"python{version}"], f"pyenv install {version}")


def refuse_without() -> None:
    """Ends the run if something is missing that every test needs."""
    missing = {command: row for command, row in rows().items() if row.kind == "need" and not there(command)}
    if missing:
        packages = " ".join(row.package for row in missing.values())
        pytest.exit(
            f"no {', '.join(missing)}: the tests need the real one; apt-get install {packages}", returncode=1
        )


def summarise(reporter: pytest.TerminalReporter) -> None:
    """Counts the tests that were skipped for lack of a tool, at the end of the run."""
    reports = [report for report in reporter.stats.get("skipped", []) if isinstance(report.longrepr, tuple)]
    found = [match for report in reports if (match := _LACKS.fullmatch(report.longrepr[2]))]
    if not found:
        return
    counts = Counter(tool for match in found for tool in match["tools"].split(", "))
    packages = {
        word for match in found if match["how"] == "apt-get install" for word in match["what"].split()
    }
    others = {f"{match['how']} {match['what']}" for match in found if match["how"] != "apt-get install"}
    tests = "1 test" if len(found) == 1 else f"{len(found)} tests"
    reporter.section(f"{tests} skipped for lack of a tool")
    reporter.line(", ".join(f"{tool} {count}" for tool, count in sorted(counts.items())))
    ways = [f"apt-get install {' '.join(sorted(packages))}"] if packages else []
    for way in [*ways, *sorted(others)]:
        reporter.line(f"install: {way}")
