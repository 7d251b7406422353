"""Raw latency samples, stored by content, so that a measurement can be analysed again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from edgewright.config.home import folder
from edgewright.files import sha256_file
from edgewright.nouns.measurement import Run

KEPT = 1000  # files; the oldest are removed first


def keep(runs: Sequence[Run]) -> str:
    """Writes the samples of runs as `samples/<sha256>.npz` in the home folder.

    Members `round_<n>`: float64 milliseconds, in the order in which they were taken.

    Returns:
        The sha256; empty if there are no samples.
    """
    if not any(run.samples_ms for run in runs):
        return ""
    import numpy as np

    place = folder("samples")
    descriptor, temporary = tempfile.mkstemp(dir=place, suffix=".part")
    with os.fdopen(descriptor, "wb") as file:
        np.savez_compressed(file, **{f"round_{run.round}": np.asarray(run.samples_ms) for run in runs})  # type: ignore[arg-type]
    digest = sha256_file(Path(temporary))
    Path(temporary).replace(place / f"{digest}.npz")
    forget(place)
    return digest


def forget(place: Path) -> None:
    """Removes the oldest files beyond `KEPT`."""
    files = sorted(place.glob("*.npz"), key=lambda file: file.stat().st_mtime)
    for file in files[: max(0, len(files) - KEPT)]:
        file.unlink(missing_ok=True)
