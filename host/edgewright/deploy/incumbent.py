"""The incumbent: the release that is `current` on a board, and what this machine knows about it."""

from __future__ import annotations

import threading
from typing import NamedTuple

from edgewright.config import home
from edgewright.connect.agent import versions
from edgewright.connect.session import Session
from edgewright.errors import ArtifactError, BoardError, EdgewrightError, ProtocolError
from edgewright.measure.release_manifest import released
from edgewright.nouns.interface import Interface, interface_of
from edgewright.store.artifacts import ArtifactStore
from edgewright.store.history import History


class Incumbent(NamedTuple):
    """A release and its artifact's id; both empty where a board has none."""

    release: str = ""
    artifact: str = ""


def incumbent_of(session: Session, model: str) -> Incumbent:
    """The release that the application on the board reads now."""
    found = versions.models(session).get(model)
    if found is None or not found.current:
        return Incumbent()
    about = found.current_release
    return Incumbent(found.current, about.artifact if about else "")


class IncumbentInterfaces:
    """The interfaces of incumbents, each looked up once; boards look into the store and the history one at a time."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._known: dict[str, Interface | None] = {}
        self._lookup = threading.Lock()

    def of(self, session: Session, model: str, incumbent: Incumbent) -> Interface | None:
        """The interface of a board's incumbent; None where nobody knows it."""
        with self._lookup:
            if incumbent.artifact not in self._known:
                self._known[incumbent.artifact] = interface_kept(incumbent.artifact, self._history)
        return self._known[incumbent.artifact] or interface_there(session, model, incumbent)


def interface_kept(artifact: str, history: History) -> Interface | None:
    """The interface of an artifact, from the store or else the history; None where neither has it."""
    try:
        return interface_of(ArtifactStore(home.folder("artifacts")).manifest(artifact))
    except ArtifactError:
        pass
    try:
        return history.interface(artifact)
    except EdgewrightError:  # of no use here, and no reason to refuse a release
        return None


def interface_there(session: Session, model: str, incumbent: Incumbent) -> Interface | None:
    """The interface of the incumbent by what the board says of it; None where it is damaged, or the agent too old to say it."""
    try:
        found = released(session, model, incumbent.release, incumbent.artifact)
    except (BoardError, ProtocolError):
        return None
    return None if found is None else Interface(inputs=found.inputs, outputs=found.outputs)
