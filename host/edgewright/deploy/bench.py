"""Measures what runs on boards, or an artifact that is installed there only for that."""

from __future__ import annotations

from edgewright.connect.agent import versions
from edgewright.connect.session import Session
from edgewright.deploy import preflight
from edgewright.deploy.board_record import Trace
from edgewright.deploy.executor import Turns
from edgewright.deploy.release import BoardRelease
from edgewright.deploy.shipment import Shipment
from edgewright.deploy.transaction import Transaction
from edgewright.errors import BoardError, Code, EdgewrightError
from edgewright.measure.benchmark import benchmark
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board
from edgewright.nouns.deploy_plan import ReleaseOrder
from edgewright.nouns.facts import Facts
from edgewright.nouns.measurement import STANDARD, Measurement, Protocol
from edgewright.nouns.policy import ReleasePolicy
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress, Step
from edgewright.runtimes.install import ensure_runtime
from edgewright.runtimes.profile_match import profile_of
from edgewright.wire.answers import StatusRelease


class BenchRequest(Noun, frozen=True, kw_only=True):
    """What is measured.

    Attributes:
        model: name of the model on the boards; of an artifact, the name that it gets while it is measured.
        artifact: measured instead of an installed release, and removed again.
        releases: releases or versions of the model, interleaved; none means `current`.
        threads: None takes the profile's.
    """

    model: str
    artifact: Artifact | None = None
    releases: tuple[str, ...] = ()
    protocol: Protocol = STANDARD
    threads: int | None = None
    accelerator: str | None = None


class Bench:
    """One benchmark over boards."""

    def __init__(self, what: BenchRequest) -> None:
        self.what = what
        self.model = what.model
        self.turns = Turns()

    def on_board(self, board: Board, session: Session, progress: Progress) -> list[Measurement]:
        """The measurements of one board."""
        facts = session.facts()
        profile = profile_of(board, facts)
        preflight.check_accelerator(self.what.accelerator, facts, board=board.name)
        if self.what.artifact is not None:
            return self._artifact(self.what.artifact, board, session, facts, profile, progress)
        model = versions.models(session).get(self.model)
        if not model:
            raise BoardError(
                f"{board.name} has no model {self.model}",
                hint="`edgewright status` lists them",
                code=Code.NOT_FOUND,
            )
        known = model.releases
        chosen = [find(name, known, board) for name in self.what.releases] or [model.current or ""]
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
        threads = self.what.threads or min(profile.threads, facts.cpus or profile.threads)
        with self.turns.of(board):
            progress(Step(what="bench", board=board.name, detail=self.what.protocol.name))
            return benchmark(
                session, model, releases, self.what.protocol, board=board.name, artifacts=artifacts, threads=threads,
                accelerator=self.what.accelerator, simulated=facts.simulated, progress=progress,
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
        preflight.check_runtime(artifact.manifest, choice, board=board.name)
        preflight.check_artifact(facts, artifact.manifest, board=board.name)
        trace = Trace()
        trace.facts, trace.profile, trace.artifact = facts, profile, artifact
        order = ReleaseOrder(
            model=self.model, version="bench", policy=ReleasePolicy(accelerator=self.what.accelerator)
        )
        with Transaction(session, self.model, lambda: session) as transaction:
            release = BoardRelease(order, Shipment(artifact), profile, transaction, trace, progress)
            try:
                release.install(choice.ref)
                release.verify()
                artifacts = {release.release: artifact.id}
                return self._measure(
                    board, session, facts, profile, self.model, [release.release], artifacts, progress
                )
            finally:
                release.discard()


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
