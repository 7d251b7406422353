"""Simulated boards with other Pythons, the command line run in this process, digits artifacts shared by the tests."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgewright.cli.main import main
from edgewright.compile.workers import Workers

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
PYENV = Path(os.environ.get("PYENV_ROOT", "~root/.pyenv")).expanduser() / "versions"


class Ran(NamedTuple):
    """What one command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return dict(json.loads(self.out))

    @property
    def outcome(self) -> dict[str, Any]:
        """The only board's outcome."""
        outcomes = self.json["outcomes"]
        assert len(outcomes) == 1, self.err
        return dict(outcomes[0])

    def check(self, name: str) -> dict[str, Any]:
        """A line of the gate."""
        return next(check for check in self.outcome["checks"] if check["name"] == name)


@pytest.fixture(scope="session")
def run() -> Callable[..., Ran]:
    """`run("status")` runs the command line with `--json`."""

    def command_line(*arguments: object) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*(str(argument) for argument in arguments), "--json"])
        return Ran(code, out.getvalue(), err.getvalue())

    return command_line


@pytest.fixture(scope="module")
def home(module_home: Path) -> Path:
    """One state folder for a module: its boards live in it."""
    return module_home


@pytest.fixture(scope="module")
def board(home: Path, run: Callable[..., Ran]) -> Iterator[Callable[[str], str]]:
    """`board("3.8")` starts a board with that Python (`""`: this one's) and gives its name."""
    made: dict[str, str] = {}

    def start(version: str) -> str:
        if version not in made:
            name = f"a{version.replace('.', '')}"
            python = ("--python", python_of(version)) if version else ()
            up = run("lab", "up", "--boards", 1, "--name", name, *python)
            assert up.code == 0, up.err
            made[version] = f"{name}-1"
        return made[version]

    yield start
    if made:
        assert run("lab", "down").code == 0


def python_of(version: str) -> Path:
    """A Python of a version: pyenv's, else this machine's own."""
    found = sorted(PYENV.glob(f"{version}.*/bin/python"))
    path = str(found[0]) if found else shutil.which(f"python{version}")
    assert path, f"no python {version}: `pyenv install {version}`"
    return Path(path)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Worker processes that a module's compilations share."""
    with Workers(tmp_path_factory.mktemp("log") / "convert.log") as running:
        yield running
