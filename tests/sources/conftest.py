"""Worker processes that the tests of sources share, and opening a source in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgewright.compile.calibrate import SampleSet
from edgewright.compile.formats import FORMATS
from edgewright.compile.jobs import SourceRef
from edgewright.compile.recognise import recognise
from edgewright.compile.workers import Workers
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.conversion import Ends

Opened = tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]


@pytest.fixture(scope="session")
def read(workers: Workers) -> Callable[..., Opened]:
    """`read(source, shapes={}, ends=Ends())`: (inputs, outputs) of a source, opened in its own worker."""

    def opened(
        source: Path, shapes: dict[str, tuple[int, ...]] | None = None, ends: Ends | None = None
    ) -> Opened:
        found = recognise(source).source
        ref = SourceRef(
            path=source.absolute(),
            format=found.format,
            sha256=found.sha256,
            shapes=tuple(sorted((shapes or {}).items())),
            ends=ends or Ends(),
        )
        return workers.call(
            FORMATS[found.format].framework,
            "edgewright.compile.jobs",
            "read_the_model",
            source=ref,
            samples=SampleSet(),
        )  # type: ignore[no-any-return]

    return opened
