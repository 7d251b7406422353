"""Simulated boards with other Pythons, the command line run in this process, artifacts of the digits model that tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import needs
import pytest
from command_line import Ran, command_line

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.fixture(scope="session")
def run() -> Callable[..., Ran]:
    """`run("status")` runs the command line with `--json`."""
    return lambda *arguments: command_line(*arguments, "--json")


@pytest.fixture(scope="module")
def board(module_home: Path, run: Callable[..., Ran]) -> Iterator[Callable[[str], str]]:
    """`board("3.8")` starts a board with that Python (`""`: this one's) and gives its name."""
    made: dict[str, str] = {}

    def start(version: str) -> str:
        if version not in made:
            name = f"a{version.replace('.', '')}"
            python = ("--python", needs.python(version)) if version else ()
            up = run("lab", "up", "--boards", 1, "--name", name, *python)
            assert up.code == 0, up.err
            made[version] = f"{name}-1"
        return made[version]

    yield start
    if made:
        assert run("lab", "down").code == 0
