"""Measures releases on boards, or artifacts that are installed only to be measured."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from edgewright.connect.agent import versions
from edgewright.connect.session import Session
from edgewright.deployments import preflight
from edgewright.deployments.board_record import Trace
from edgewright.deployments.executor import Turns
from edgewright.deployments.release import BoardRelease, compiled
from edgewright.deployments.shipment import Shipment
from edgewright.deployments.transaction import Transaction
from edgewright.errors import BoardError, Code, EdgewrightError, UsageError
from edgewright.measure.benchmark import Compiled, benchmark
from edgewright.measure.threads import threads_on
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.base import Noun
from edgewright.nouns.board import Board
from edgewright.nouns.deploy_plan import ReleaseOrder
from edgewright.nouns.facts import Facts
from edgewright.nouns.measurement import STANDARD, Measurement, Protocol
from edgewright.nouns.policy import ReleasePolicy
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress, ProgressEvent
from edgewright.runtimes.install import ensure_runtime
from edgewright.runtimes.profile_match import profile_of
from edgewright.wire.answers import StatusRelease


class BenchRequest(Noun, frozen=True, kw_only=True):
    """What to measure.

    Attributes:
        model: name of the model on the boards; for artifacts, their temporary name during the measurement.
        artifacts: measured, interleaved, instead of installed releases, and removed afterwards.
        releases: releases or versions of the model, measured interleaved; empty means `current`.
        threads: None takes the profile's.
    """

    model: str
    artifacts: tuple[Artifact, ...] = ()
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
        if self.what.artifacts:
            return self._artifacts(board, session, facts, profile, progress)
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
        check_different(chosen, board)
        holds = {name: Compiled(one.artifact, one.target, one.precision) for name, one in known.items()}
        return self._measure(board, session, facts, profile, chosen, holds, progress)

    def _measure(
        self, board: Board, session: Session, facts: Facts, profile: Profile, releases: list[str],
        holds: Mapping[str, Compiled], progress: Progress,
    ) -> list[Measurement]:  # fmt: skip
        threads = threads_on(facts, profile, self.what.threads)
        with self.turns.of(board):
            progress(ProgressEvent(stage="bench", board=board.name, detail=self.what.protocol.name))
            return benchmark(
                session, self.model, releases, self.what.protocol, board=board.name, compiled=holds, threads=threads,
                accelerator=self.what.accelerator, simulated=facts.simulated, progress=progress,
            )  # fmt: skip

    def _artifacts(
        self, board: Board, session: Session, facts: Facts, profile: Profile, progress: Progress
    ) -> list[Measurement]:
        """Installs the artifacts under a separate name, verifies and measures them, and removes them."""
        runtimes = [self._runtime(one, board, session, facts, progress) for one in self.what.artifacts]
        policy = ReleasePolicy(accelerator=self.what.accelerator)
        with Transaction(session, self.model, lambda: session) as transaction, ExitStack() as installed:
            holds: dict[str, Compiled] = {}
            for artifact, runtime in zip(self.what.artifacts, runtimes, strict=True):
                trace = Trace()
                trace.facts, trace.profile, trace.artifact = facts, profile, artifact
                order = ReleaseOrder(model=self.model, version="bench", policy=policy)
                release = BoardRelease(order, Shipment(artifact), profile, transaction, trace, progress)
                installed.callback(release.discard)
                release.install(runtime)
                release.verify()
                holds[release.release] = compiled(artifact)
            return self._measure(board, session, facts, profile, list(holds), holds, progress)

    def _runtime(
        self, artifact: Artifact, board: Board, session: Session, facts: Facts, progress: Progress
    ) -> str:
        """The board's name for the runtime of an artifact; installs the runtime if it is missing."""
        preflight.check_taken(self.what.accelerator, artifact.manifest, board=board.name)
        preflight.check_cpu(facts, artifact.manifest, board=board.name)
        choice = ensure_runtime(session, facts, artifact.manifest.target, progress=progress)
        preflight.check_runtime(artifact.manifest, choice, board=board.name)
        preflight.check_disk(facts, artifact.manifest, board=board.name)
        preflight.check_memory(facts, artifact.manifest, board=board.name)
        return choice.ref


def check_different(releases: list[str], board: Board) -> None:
    """Raises UsageError for a release that is named twice: it would be measured only once."""
    for name in releases:
        if releases.count(name) > 1:
            raise UsageError(
                f"{board.name}: {name} was named twice, by its release or its version",
                hint="name each release once: --release A --release B",
            )


def find(name: str, known: dict[str, StatusRelease], board: Board) -> str:
    """The release on a board with this name or version."""
    found = [release for release, entry in known.items() if name in (release, entry.version)]
    if not found:
        raise EdgewrightError(
            f"{board.name} has no release {name}",
            hint=f"it has: {', '.join(known) or 'none'}",
            code=Code.NOT_FOUND,
        )
    return found[-1]
