"""Chooses a board's runner, and sends it if it is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright import targets
from edgewright.connect.agent import runner_package
from edgewright.wire import commands

if TYPE_CHECKING:
    from edgewright.connect.session import Session


def named(session: Session, target: str) -> str | None:
    """The argument `runner` of `provision` and `install`, once the runner is on the board.

    None if the board has its own runners, because an administrator installed its agent.
    """
    sha256 = offered(session, target)
    if sha256 is not None and sha256 not in (session.runners or ()):
        give(session, target)
    return sha256


def offered(session: Session, target: str) -> str | None:
    """As `named`, without sending anything."""
    return None if session.runners is None else runner_package.package(target).sha256


def give(session: Session, target: str) -> None:
    """Sends a target's runner if it is missing; releases of the target whose runner is missing get this one."""
    runner = runner_package.package(target)
    known = set() if session.runners is None else session.runners
    if runner.sha256 not in known:
        session.put(runner.data, label=f"runner of {target}")
    session.exchange(commands.Runner(target=target, sha256=runner.sha256))
    known.add(runner.sha256)


def supply(session: Session) -> bool:
    """Sends the runners that the board's releases lack because an older edgewright installed them, or the disk failed.

    Returns:
        Whether any was sent.
    """
    if session.runners is None:
        return False
    models = session.exchange(commands.Status()).models.values()
    releases = [release for model in models for release in model.releases.values()]
    lacking = {release.target for release in releases if not release.runner}
    known = sorted(lacking.intersection(targets.names()))
    for target in known:
        give(session, target)
    return bool(known)
