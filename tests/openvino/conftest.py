"""Boards of the kind that the Intel NCS2 is plugged into, the toolchain for it, and small models."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgewright.cli.main import main
from edgewright.compile import toolchains
from edgewright.compile.request import CompileRequest
from edgewright.compile.run import compile_model
from edgewright.compile.workers import Workers
from edgewright.lab import boards
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion

TOOLCHAIN = "openvino-2021"


@pytest.fixture(scope="session")
def toolchain_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder in which the toolchain is installed, once a session."""
    folder = tmp_path_factory.mktemp("toolchain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_HOME", str(folder))
        toolchains.install(TOOLCHAIN)
    return folder


@pytest.fixture(scope="module")
def home(module_home: Path) -> Path:
    """One state folder for a module: its boards live in it."""
    return module_home


@pytest.fixture(scope="module")
def toolchain(home: Path, toolchain_home: Path) -> Path:
    """The toolchain in this module's home. Its Python."""
    if not (home / "toolchains").exists():
        (home / "toolchains").symlink_to(toolchain_home / "toolchains")
    return toolchains.python_of(TOOLCHAIN)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Worker processes that a module's tests share, as the compilations of one command do."""
    with Workers(tmp_path_factory.mktemp("log") / "convert.log") as running:
        yield running


@pytest.fixture(scope="module")
def compiled(home: Path, workers: Workers) -> Callable[..., Artifact]:
    """`compiled(path, target, precision, keep_float=(...), calibration=...)`."""

    def make(source: Path, target: str, precision: str | None, **more: Any) -> Artifact:
        conversion = Conversion(**{key: more.pop(key) for key in Conversion.__struct_fields__ if key in more})
        request = CompileRequest(
            source=source, target=target, precision=precision, conversion=conversion, **more
        )
        return compile_model(request, workers=workers)

    return make


@pytest.fixture(scope="module")
def make_lab(home: Path) -> Iterator[Callable[..., list[Any]]]:
    """Starts boards: `make_lab(1, name="f", **options of lab.boards.up)`."""
    yield lambda count, **options: boards.up(count, fleet_path=home / "fleet.toml", **options)
    if boards.listing():
        boards.down()


@pytest.fixture(scope="session")
def edgewright() -> Callable[..., tuple[dict[str, Any], str]]:
    """`edgewright("deploy", ...)`: the JSON document of a command, and what it wrote on stderr."""

    def run(*arguments: object) -> tuple[dict[str, Any], str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main([str(argument) for argument in (*arguments, "--json")])
        return json.loads(out.getvalue()), err.getvalue()

    return run


@pytest.fixture(scope="session")
def python_of() -> Callable[[str], Path]:
    """A Python of a version such as `3.8`."""

    def find(version: str) -> Path:
        root = Path(os.environ.get("PYENV_ROOT", "~root/.pyenv")).expanduser() / "versions"
        found = sorted(root.glob(f"{version}.*/bin/python"))
        assert found, f"no python {version}: `pyenv install {version}`"
        return found[0]

    return find
