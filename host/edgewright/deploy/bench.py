"""Measures what runs on boards, or an artifact that is installed there only for that."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from edgewright.connect import versions
from edgewright.connect.provision import ensure_runtime
from edgewright.connect.session import Session
from edgewright.deploy import fit
from edgewright.deploy.board_profile import profile_of
from edgewright.deploy.fan_out import Turns
from edgewright.deploy.release import BoardRelease
from edgewright.deploy.request import DeployRequest
from edgewright.deploy.trace import Trace
from edgewright.errors import BoardError, Code, EdgewrightError
from edgewright.measure.benchmark import benchmark
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.facts import Facts
from edgewright.nouns.measurement import Measurement, Protocol
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress, Step
from edgewright.wire.answers import StatusRelease


class Bench:
    """One benchmark over boards.

    Args:
        model: name of the model on the boards; of an artifact, the name that it gets while it is measured.
        artifact: measured instead of an installed release, and removed again.
        releases: releases or versions of the model, interleaved; none means `current`.
        threads: None takes the profile's.
    """

    def __init__(
        self,
        fleet: Fleet,
        model: str,
        *,
        artifact: Artifact | None,
        releases: Sequence[str],
        protocol: Protocol,
        threads: int | None,
        accelerator: str | None,
    ) -> None:
        self.fleet = fleet
        self.model = model
        self.artifact = artifact
        self.releases = releases
        self.protocol = protocol
        self.threads = threads
        self.accelerator = accelerator
        self.turns = Turns()

    def on_board(self, board: Board, session: Session, progress: Progress) -> list[Measurement]:
        """The measurements of one board."""
        facts = session.facts()
        profile = profile_of(board, facts)
        fit.check_accelerator(self.accelerator, facts, board=board.name)
        if self.artifact is not None:
            return self._artifact(self.artifact, board, session, facts, profile, progress)
        model = versions.models(session).get(self.model)
        if not model:
            raise BoardError(
                f"{board.name} has no model {self.model}",
                hint="`edgewright status` lists them",
                code=Code.NOT_FOUND,
            )
        known = model.releases
        chosen = [find(name, known, board) for name in self.releases] or [model.current or ""]
        if not chosen[0]:
            raise BoardError(
                f"{board.name} has no current release of {self.model}",
                hint="name one: --release VERSION",
                code=Code.NOT_FOUND,
            )
        artifacts = {release: known[release].artifact for release in chosen if release in known}
        return self._measure(board, session, facts, profile, self.model, chosen, artifacts, progress)

    def _measure(
        self, board: Board, session: Session, facts: Facts, profile: Profile, model: str, releases: list[str],
        artifacts: dict[str, str], progress: Progress,
    ) -> list[Measurement]:  # fmt: skip
        threads = self.threads or min(profile.threads, facts.cpus or profile.threads)
        with self.turns.of(board):
            progress(Step(what="bench", board=board.name, detail=self.protocol.name))
            return benchmark(
                session, model, releases, self.protocol, board=board.name, artifacts=artifacts, threads=threads,
                accelerator=self.accelerator, simulated=facts.simulated, progress=progress,
            )  # fmt: skip

    def _artifact(
        self,
        artifact: Artifact,
        board: Board,
        session: Session,
        facts: Facts,
        profile: Profile,
        progress: Progress,
    ) -> list[Measurement]:
        """Installs the artifact under a separate name, verifies and measures it, and removes it."""
        choice = ensure_runtime(session, facts, artifact.manifest.target, progress=progress)
        fit.check_runtime(artifact.manifest, choice, board=board.name)
        fit.check_artifact(facts, artifact.manifest, board=board.name)
        trace = Trace()
        trace.facts, trace.profile, trace.artifact = facts, profile, artifact
        request = DeployRequest(
            fleet=self.fleet,
            boards=(board,),
            model=self.model,
            artifact=artifact,
            accelerator=self.accelerator,
        )
        release = BoardRelease(
            request, board, session, trace, profile=profile, artifact=artifact, choice=choice, version="bench",
            scoring=None, similarity=None, turn=self.turns.of(board), cancelled=threading.Event(), reopen=lambda: session, progress=progress,
        )  # fmt: skip
        release.begin()
        try:
            release.install()
            release.verify()
            artifacts = {release.release: artifact.id}
            return self._measure(
                board, session, facts, profile, self.model, [release.release], artifacts, progress
            )
        finally:
            release.discard()
            release.end()


def find(name: str, known: dict[str, StatusRelease], board: Board) -> str:
    """The release of a name or version on a board."""
    found = [release for release, entry in known.items() if name in (release, entry.version)]
    if not found:
        raise EdgewrightError(
            f"{board.name} has no release {name}",
            hint=f"it has: {', '.join(known) or 'none'}",
            code=Code.NOT_FOUND,
        )
    return found[-1]
