"""What `infer` has to know of a release on a board: of its manifest, which this machine has or the board says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from edgewright.config import home
from edgewright.connect.session import Session
from edgewright.errors import ArtifactError, BoardError, ProtocolError
from edgewright.nouns.artifact import Manifest, TensorSpec
from edgewright.nouns.base import Noun
from edgewright.nouns.project import Preprocessing
from edgewright.store.artifacts import SCHEMA, ArtifactStore

_UNKNOWN = ("bad-argument", "unknown-command")  # what an agent says that an administrator did not update
_MOST = 2**28  # values of a tensor, pixels of a picture


class Released(Noun, frozen=True, kw_only=True):
    """A part of a manifest. `ranges`: those of the calibration."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precision: str = ""
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] = ()
    ranges: tuple[tuple[float, float], ...] = ()


def released(session: Session, model: str, release: str, artifact: str) -> Released | None:
    """By the manifest in this machine's store, else by what the board says; None where an older agent cannot say it, or a
    newer version wrote it.

    Args:
        artifact: the release's, as the board's `status` has it.

    Raises:
        BoardError: the release cannot run. ProtocolError: the board's manifest is not one.
    """
    try:
        return of(ArtifactStore(home.folder("artifacts")).get(artifact).manifest)
    except ArtifactError:
        pass
    try:
        found = session.call("infer", model=model, release=release, inputs=None)["manifest"]
    except BoardError as error:
        if error.code in _UNKNOWN:
            return None
        raise
    return said(found)


def of(manifest: Manifest) -> Released:
    """The part of a manifest."""
    return Released(
        inputs=manifest.inputs, outputs=manifest.outputs, precision=manifest.precision,
        preprocessing=manifest.preprocessing, labels=manifest.labels, ranges=manifest.calibration.ranges,
    )  # fmt: skip


def said(manifest: dict[str, Any]) -> Released | None:
    """The part of what a board says, its figures bounded; None of a newer schema.

    Agents check no more of a manifest than they need, so what else is in it, or lacks, is no error.

    Raises:
        ProtocolError: a part is not of its type.
    """
    schema = manifest.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        return None
    try:
        calibration = manifest.get("calibration") or {}
        parts = {key: manifest[key] for key in ("precision", "preprocessing", "labels") if manifest.get(key)}
        parts |= {key: [_known(one) for one in manifest[key]] for key in ("inputs", "outputs")}
        found = msgspec.convert({**parts, "ranges": calibration.get("ranges") or ()}, Released)
        _check((*found.inputs, *found.outputs), found.preprocessing)
    except (msgspec.ValidationError, TypeError, KeyError, AttributeError) as error:
        raise ProtocolError(f"the board's manifest is not valid: {error}") from error
    return found


def _known(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: spec[key] for key in TensorSpec.__struct_fields__ if key in spec}


def _check(specs: Sequence[TensorSpec], preprocessing: Preprocessing | None) -> None:
    """Raises TypeError for what no model has."""
    import numpy as np

    shapes: list[tuple[int, ...]] = [spec.shape for spec in specs]
    if preprocessing is not None and preprocessing.size is not None:
        shapes.append(preprocessing.size)
    if any(min(shape, default=1) < 1 or math.prod(shape) > _MOST for shape in shapes):
        raise TypeError("a shape that no model has")
    for spec in specs:
        if np.dtype(spec.dtype).kind not in "fiub":
            raise TypeError(f"dtype {spec.dtype}")
