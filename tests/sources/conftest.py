"""Worker processes that the tests of sources share, and opening a source in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.formats import FORMATS
from edgewright.compile.recognition import recognise
from edgewright.compile.tasks.source import SourceRef
from edgewright.compile.workers.pool import Workers
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
            "edgewright.compile.tasks.source",
            "read_the_model",
            source=ref,
            samples=SampleSet(),
        )  # type: ignore[no-any-return]

    return opened
