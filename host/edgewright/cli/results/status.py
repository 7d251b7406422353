"""The result of `status`: what runs on each board, as its agent reports it."""

from __future__ import annotations

from typing import Any

import msgspec

from edgewright.cli.results.answers import BoardAnswer
from edgewright.errors import ProtocolError
from edgewright.nouns.base import Noun


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an agent's answer. Keys that only a newer agent knows are passed over."""


class ReleaseStatus(Reported, frozen=True, kw_only=True):
    """A release on a board. `runner` is empty where the board lacks it."""

    state: str = ""
    version: str = ""
    artifact: str = ""
    target: str = ""
    precision: str = ""
    runtime: str = ""
    runner: str = ""


class TrialStatus(Reported, frozen=True, kw_only=True):
    """An activation that is not committed yet.

    Attributes:
        previous: the release that comes back unless the trial is committed; null where there was none.
        to: the release on trial.
        deadline_s: seconds until the board reverts it.
    """

    txn: str = ""
    previous: str | None = msgspec.field(name="from", default=None)
    to: str = ""
    phase: str = ""
    guard: str = ""
    deadline_s: float = 0.0


class FailureStatus(Reported, frozen=True, kw_only=True):
    """A combination of artifact, runtime, runner and hooks that failed on this board and is not tried again."""

    release: str = ""
    artifact: str = ""
    runtime: str = ""
    runner: str | None = None
    hooks: dict[str, Any] | None = None
    code: str = ""
    why: str = ""


class ModelStatus(Reported, frozen=True, kw_only=True):
    """A model on a board. `known_good`: releases that were committed, oldest first."""

    current: str | None = None
    last_good: str | None = None
    known_good: tuple[str, ...] = ()
    trial: TrialStatus | None = None
    releases: dict[str, ReleaseStatus] = {}
    failed: tuple[FailureStatus, ...] = ()


class LeaseStatus(Reported, frozen=True, kw_only=True):
    """The host that is deploying to the board now."""

    model: str = ""
    host: str = ""
    left_s: float = 0.0


class BoardStatus(Reported, frozen=True, kw_only=True):
    """A board. `problem`: empty, `state-lost` or `newer-schema`."""

    models: dict[str, ModelStatus] = {}
    lease: LeaseStatus | None = None
    problem: str = ""


class StatusResult(Noun, frozen=True, kw_only=True):
    """`edgewright status`."""

    boards: tuple[BoardAnswer[BoardStatus], ...]


def board_status(answer: dict[str, Any]) -> BoardStatus:
    """The agent's answer as a record.

    Raises:
        ProtocolError: a value has another type.
    """
    try:
        return msgspec.convert(answer, BoardStatus)
    except msgspec.ValidationError as error:
        raise ProtocolError(
            f"the board's answer to status is not valid: {error}", hint="--debug shows the board's log"
        ) from error
