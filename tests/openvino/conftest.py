"""Boards of the kind that the Intel NCS2 is plugged into, the toolchain for it, and small models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import command_line, document_of
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.toolchains import environments
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion

TOOLCHAIN = "openvino-2021"


@pytest.fixture(scope="module")
def toolchain(module_home: Path, toolchain_folder: Callable[[str], Path]) -> Path:
    """The toolchain in this module's home. Its Python."""
    place = module_home / "toolchains" / TOOLCHAIN
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(toolchain_folder(TOOLCHAIN))
    return environments.python_of(TOOLCHAIN)


@pytest.fixture(scope="module")
def workers(module_home: Path, worker_folders: dict[str, list[Path]]) -> Iterator[Workers]:
    """Worker processes of this module's home, where the toolchain is."""
    with Workers(module_home / "convert.log", **worker_folders) as running:
        yield running


@pytest.fixture(scope="module")
def compiled(module_home: Path, workers: Workers) -> Callable[..., Artifact]:
    """`compiled(path, target, precision, keep_float=(...), calibration=...)`."""

    def make(source: Path, target: str, precision: str | None, **more: Any) -> Artifact:
        conversion = Conversion(**{key: more.pop(key) for key in Conversion.__struct_fields__ if key in more})
        request = compile_request(
            source=source, target=target, precision=precision, conversion=conversion, **more
        )
        return compile_model(request, workers=workers)

    return make


@pytest.fixture(scope="session")
def edgewright() -> Callable[..., tuple[dict[str, Any], str]]:
    """`edgewright("deploy", ...)`: the result of a command, or its error, and what it wrote on stderr."""

    def run(*arguments: object) -> tuple[dict[str, Any], str]:
        ran = command_line(*arguments, "--json")
        document = document_of(ran.out)
        return document["result"] or document["error"], ran.err

    return run
