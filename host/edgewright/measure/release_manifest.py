"""The manifest of a board's release, from this machine's store or from the board, for `infer`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import UNSET

from edgewright.config import home
from edgewright.connect.session import Session
from edgewright.errors import ArtifactError, BoardError, Code, ProtocolError
from edgewright.nouns.artifact import Manifest, TensorSpec
from edgewright.nouns.base import Noun
from edgewright.nouns.project import Preprocessing
from edgewright.store.artifacts import SCHEMA, ArtifactStore
from edgewright.wire import commands
from edgewright.wire.answers import ReleaseManifest, Tensor

_UNKNOWN = (
    Code.BAD_ARGUMENT,
    Code.UNKNOWN_COMMAND,
)  # the answers of an agent that an administrator has not updated
_MOST = 2**28  # values of a tensor, pixels of an image
_RANK = 32  # axes of a tensor
_DTYPES = {"bool", "float16", "float32", "float64"} | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}  # fmt: skip


class Released(Noun, frozen=True, kw_only=True):
    """A part of a manifest. `ranges`: the calibration ranges. `verified`: this machine has the artifact, it is not a board's word."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precision: str = ""
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] = ()
    ranges: tuple[tuple[float, float], ...] = ()
    verified: bool = False


def released(session: Session, model: str, release: str, artifact: str) -> Released | None:
    """Reads the manifest in this machine's store, else asks the board; returns None if an older agent cannot answer, or if a
    newer version wrote it.

    Args:
        artifact: the release's artifact, from the board's `status`.

    Raises:
        BoardError: the release cannot run.
        ProtocolError: the board's manifest is malformed.
    """
    try:
        return of(ArtifactStore(home.folder("artifacts")).get(artifact).manifest)
    except ArtifactError:
        pass
    try:
        found = session.call(commands.Describe(model=model, release=release))
    except BoardError as error:
        if error.code in _UNKNOWN:
            return None
        raise
    return known_of(found.manifest)


def of(manifest: Manifest) -> Released:
    """The part of a manifest."""
    return Released(
        inputs=manifest.inputs, outputs=manifest.outputs, precision=manifest.precision,
        preprocessing=manifest.preprocessing, labels=manifest.labels, ranges=manifest.calibration.ranges,
        verified=True,
    )  # fmt: skip


def known_of(manifest: ReleaseManifest) -> Released | None:
    """The part of a board's manifest, with its numbers checked; None for a newer schema.

    Raises:
        ProtocolError: a part of it is impossible for a model.
    """
    if manifest.schema > SCHEMA:
        return None
    found = Released(
        inputs=tuple(_spec(one) for one in manifest.inputs), outputs=tuple(_spec(one) for one in manifest.outputs),
        precision=manifest.precision or "", preprocessing=manifest.preprocessing, labels=manifest.labels or (),
        ranges=(manifest.calibration and manifest.calibration.ranges) or (),
    )  # fmt: skip
    try:
        for specs in (found.inputs, found.outputs):
            _check(specs)
        size = found.preprocessing.size if found.preprocessing else None
        if size is not None and (min(size) < 1 or math.prod(size) > _MOST):
            raise ValueError("a size that no picture has")
    except ValueError as error:
        raise ProtocolError(f"the board's manifest is not valid: {error}") from error
    return found


def _spec(said: Tensor) -> TensorSpec:
    return TensorSpec(
        name=said.name, shape=said.shape, dtype=said.dtype, scale=said.scale, zero_point=said.zero_point,
        tensor=UNSET if said.tensor is None else said.tensor,
    )  # fmt: skip


def _check(specs: Sequence[TensorSpec]) -> None:
    """Raises ValueError for tensors that no model has."""
    names = [spec.name for spec in specs]
    if not all(names) or len(set(names)) != len(names) or not names:
        raise ValueError("inputs and outputs have names, each another one")
    for spec in specs:
        if len(spec.shape) > _RANK or min(spec.shape, default=1) < 1 or math.prod(spec.shape) > _MOST:
            raise ValueError("a shape that no model has")
        if spec.dtype not in _DTYPES:
            raise ValueError(f"dtype {spec.dtype}")
