"""Conversions by TVM, in workers that a module's tests share, with the toolchain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.toolchains import environments
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact
from edgewright_targets.tvm.target import TOOLCHAIN


@pytest.fixture(scope="module")
def toolchain(module_home: Path, toolchain_folder: Callable[[str], Path]) -> Path:
    """The toolchain in this module's home. Its Python."""
    place = module_home / "toolchains" / TOOLCHAIN
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(toolchain_folder(TOOLCHAIN))
    return environments.python_of(TOOLCHAIN)


@pytest.fixture(scope="module")
def workers(module_home: Path, toolchain: Path, worker_folders: dict[str, list[Path]]) -> Iterator[Workers]:
    """Worker processes of this module's home."""
    with Workers(module_home / "convert.log", **worker_folders) as running:
        yield running


@pytest.fixture(scope="module")
def compiled(workers: Workers) -> Callable[..., Artifact]:
    """`compiled(path, **fields of a request)`: an artifact, in 32-bit floats unless they say so."""

    def make(source: Path, **more: Any) -> Artifact:
        fields = {"precision": "fp32", "goldens": 8, **more}
        request = compile_request(source=source, target="tvm", **fields)
        return compile_model(request, workers=workers)

    return make
