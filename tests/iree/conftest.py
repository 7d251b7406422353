"""Conversions by IREE, in workers that a module's tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact


@pytest.fixture(scope="module")
def workers(module_home: Path, worker_folders: dict[str, list[Path]]) -> Iterator[Workers]:
    """Worker processes of this module's home."""
    with Workers(module_home / "convert.log", **worker_folders) as running:
        yield running


@pytest.fixture(scope="module")
def compiled(workers: Workers) -> Callable[..., Artifact]:
    """`compiled(path, **fields of a request)`: an artifact in 32-bit floats."""

    def make(source: Path, **more: Any) -> Artifact:
        request = compile_request(source=source, target="iree", precision="fp32", goldens=8, **more)
        return compile_model(request, workers=workers)

    return make
