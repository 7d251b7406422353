"""The incumbent: the release that is `current` on a board, and what this machine knows about it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple

from edgewright.config import home
from edgewright.connect.agent import versions
from edgewright.connect.session import Session
from edgewright.errors import ArtifactError, BoardError, Code, EdgewrightError, ProtocolError
from edgewright.measure.release_manifest import released
from edgewright.nouns.interface import Interface, interface_of
from edgewright.store.artifacts import ArtifactStore
from edgewright.store.history import History
from edgewright.wire import commands
from edgewright.wire.answers import Status, StatusModel


class Incumbent(NamedTuple):
    """A release and its artifact's id; both empty if the board has no current release.

    Attributes:
        hooks: sha256 by kind; None if the board's agent does not report them.
        hook_s: their time limit, s; 0 for the default; None if the board's agent does not report it.
        known: what the board knows about the model; None if nothing.
    """

    release: str = ""
    artifact: str = ""
    hooks: Mapping[str, str] | None = None
    hook_s: float | None = None
    known: StatusModel | None = None


def incumbent_of(
    session: Session, model: str, txn: str | None = None, status: Status | None = None
) -> Incumbent:
    """The release that the application on the board uses now.

    Args:
        txn: a deployment's transaction; refuses a trial of any other one.
        status: the board's answer, if it has been asked.

    Raises:
        BoardError: `busy`, or the board's state cannot be used.
    """
    found = versions.models(session, status).get(model)
    if txn is not None:
        check_trial(session.board.name, model, found, txn)
    if found is None or not found.current:
        return Incumbent(known=found)
    about = found.current_release
    if about is None:
        return Incumbent(found.current, known=found)
    return Incumbent(found.current, about.artifact, about.hooks, about.hook_s, found)


def refuse_trial(session: Session, model: str) -> None:
    """Refuses a model that is on trial, at first contact: no release of it can be activated until the trial ends.

    Raises:
        BoardError: `busy`.
    """
    check_trial(session.board.name, model, model_on(session, model))


def model_on(session: Session, model: str) -> StatusModel | None:
    """What the board reports about a model; None if it has no such model."""
    return session.call(commands.Status()).models.get(model)


def check_trial(board: str, model: str, found: StatusModel | None, txn: str = "") -> None:
    """Raises `busy` if the model is on trial by another transaction.

    Args:
        found: what the board reports about the model.
    """
    if found is None or found.trial is None or found.trial.txn == txn:
        return
    trial = found.trial
    raise BoardError(
        f"another release of {model} is on trial on {board}: {trial.to}",
        hint=f"run this again when it is over, in {trial.deadline_s:.0f} s at most; `edgewright status {board}` shows it",
        code=Code.BUSY,
    )


class IncumbentInterfaces:
    """The interfaces of incumbents. Looks each up once in the store and the history, for one board at a time."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._known: dict[str, Interface | None] = {}
        self._lookup = threading.Lock()

    def of(self, session: Session, model: str, incumbent: Incumbent) -> Interface | None:
        """The interface of a board's incumbent; None if neither this machine nor the board knows it."""
        with self._lookup:
            if incumbent.artifact not in self._known:
                self._known[incumbent.artifact] = interface_kept(incumbent.artifact, self._history)
        return self._known[incumbent.artifact] or interface_there(session, model, incumbent)


def interface_kept(artifact: str, history: History) -> Interface | None:
    """The interface of an artifact from the store, or else the history; None if neither has it."""
    try:
        return interface_of(ArtifactStore(home.folder("artifacts")).manifest(artifact))
    except ArtifactError:
        pass
    try:
        return history.interface(artifact)
    except EdgewrightError:  # a history that fails is no reason to refuse a release
        return None


def interface_there(session: Session, model: str, incumbent: Incumbent) -> Interface | None:
    """The interface of the incumbent as the board reports it; None if the release is damaged or the agent too old."""
    try:
        found = released(session, model, incumbent.release, incumbent.artifact)
    except (BoardError, ProtocolError):
        return None
    return None if found is None else Interface(inputs=found.inputs, outputs=found.outputs)
