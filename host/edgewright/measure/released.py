"""The manifest of a release on a board."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from edgewright.config import home
from edgewright.connect.session import Session
from edgewright.errors import ArtifactError, BoardError, ProtocolError
from edgewright.nouns.artifact import Manifest
from edgewright.store.artifacts import SCHEMA, ArtifactStore

_UNKNOWN = ("bad-argument", "unknown-command")  # what an agent says that an administrator did not update
_MOST = 2**28  # values of a tensor, pixels of a picture


def manifest_of(session: Session, model: str, release: str, artifact: str) -> Manifest | None:
    """That of this machine's store, else what the board says; None where an older agent cannot say it, or a newer version wrote it.

    Args:
        artifact: the release's, as the board's `status` has it.

    Raises:
        BoardError: the release cannot run. ProtocolError: the board's manifest is not one.
    """
    try:
        return ArtifactStore(home.folder("artifacts")).get(artifact).manifest
    except ArtifactError:
        pass
    try:
        found = session.call("infer", model=model, release=release, inputs=None)["manifest"]
    except BoardError as error:
        if error.code in _UNKNOWN:
            return None
        raise
    return parsed(found)


def parsed(found: dict[str, Any]) -> Manifest | None:
    """A board's manifest, its figures bounded; None of a newer schema."""
    if isinstance(found.get("schema"), int) and found["schema"] > SCHEMA:
        return None
    try:
        manifest = msgspec.convert(found, Manifest)
        specs = (*manifest.inputs, *manifest.outputs)
        _check_kinds(manifest)
    except (msgspec.ValidationError, TypeError) as error:
        raise ProtocolError(f"the board's manifest is not valid: {error}") from error
    size = manifest.preprocessing and manifest.preprocessing.size
    shapes = [*(spec.shape for spec in specs), *([size] if size else [])]
    if any(min(shape, default=1) < 1 or math.prod(shape) > _MOST for shape in shapes):
        raise ProtocolError("the board's manifest has a shape that no model has")
    return manifest


def _check_kinds(manifest: Manifest) -> None:
    """Raises TypeError for a dtype that boards do not have."""
    import numpy as np

    for spec in (*manifest.inputs, *manifest.outputs):
        if np.dtype(spec.dtype).kind not in "fiub":
            raise TypeError(f"dtype {spec.dtype}")
