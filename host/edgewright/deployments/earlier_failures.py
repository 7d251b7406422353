"""Refuses what failed on a board before, with exactly the same parts, before the release is sent. The board decides the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from edgewright.errors import Code, GateRefused
from edgewright.wire.answers import Failure, StatusModel


class Candidate(NamedTuple):
    """What a deployment is about to install.

    Attributes:
        artifact: its id.
        runtime: the board's name for the runtime; empty if it is not known yet.
        version: that of the runtime.
        hooks: sha256 by kind.
        hook_s: their time limit as boards get it, s; 0 for the default.
        runner: sha256 of the runner that is sent; None if the board has its own.
    """

    release: str
    artifact: str
    runtime: str
    version: str
    hooks: Mapping[str, str]
    hook_s: float
    runner: str | None


def refuse(known: StatusModel | None, wanted: Candidate) -> None:
    """Compares a candidate with what the board's `status` lists about the model.

    Raises:
        GateRefused: `failed-before`.
    """
    if known is None or _installed(known, wanted):
        return
    for failure in known.failed:
        if _same(failure, wanted):
            raise GateRefused(
                f"this artifact failed on this board before: {failure.why}",
                hint=Code.FAILED_BEFORE.cure,
                code=Code.FAILED_BEFORE,
            )


def _installed(known: StatusModel, wanted: Candidate) -> bool:
    """Whether the board has this release with the same parts, and did not refuse it: it has another verdict than the failure."""
    about = known.releases.get(wanted.release)
    if about is None or (about.runtime, about.hooks, about.hook_s or 0) != (
        wanted.runtime,
        wanted.hooks,
        wanted.hook_s,
    ):
        return False
    if wanted.release in known.known_good:
        return True
    return about.state != "failed" and wanted.runner in (None, about.runner)


def _same(failure: Failure, wanted: Candidate) -> bool:
    """Whether a failure concerns these parts."""
    system = wanted.runtime.startswith("system:")
    runtime = f"{wanted.runtime} {wanted.version}" if system else wanted.runtime
    if (failure.artifact, failure.runtime) != (wanted.artifact, runtime):
        return False
    if (
        failure.hooks is None
    ):  # whatever the hooks are; another runner may do better, and the board's own is not known here
        return wanted.runner is not None and failure.runner == wanted.runner
    limit = {"hook_s": wanted.hook_s} if wanted.hook_s else {}
    return failure.hooks == {**wanted.hooks, **limit}
