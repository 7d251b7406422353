"""A deployment: builds what the boards need, then runs each board's release in parallel."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from edgewright import targets
from edgewright.compile.recognise import recognise
from edgewright.compile.similarity import Similarity
from edgewright.compile.workers import Workers
from edgewright.config import home
from edgewright.connect.opener import Opener
from edgewright.connect.provision import RuntimeChoice, ensure_runtime
from edgewright.connect.session import Session
from edgewright.connect.transport import AskPassword
from edgewright.deploy import fit, gate, interface, readable, scoring
from edgewright.deploy.board_answers import function_of
from edgewright.deploy.board_profile import profile_of
from edgewright.deploy.build import Builder
from edgewright.deploy.fan_out import FanOut, Turns
from edgewright.deploy.incumbent import Incumbent, incumbent_of, interface_kept, interface_there
from edgewright.deploy.release import BoardRelease
from edgewright.deploy.request import DeployRequest
from edgewright.deploy.trace import Trace
from edgewright.errors import (
    Aborted,
    BoardError,
    Code,
    EdgewrightError,
    GateRefused,
    LeftAtWork,
    Unreachable,
)
from edgewright.nouns import outcome as words
from edgewright.nouns.artifact import Artifact, Manifest
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts
from edgewright.nouns.interface import Interface, interface_of
from edgewright.nouns.outcome import BoardOutcome, Check
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress, Step, silent
from edgewright.precisions import PRECISIONS, offered
from edgewright.store.history import History

REVERTED_BY_BOARD = (
    Code.HOOK_FAILED,
    Code.REVERTED,
)  # codes after which the board has put its old release back


def deploy(
    request: DeployRequest,
    *,
    history: History,
    ask_password: AskPassword | None = None,
    progress: Progress = silent,
    workers: Workers | None = None,
) -> list[BoardOutcome]:
    """Deploys a model to boards and records how it ended on each.

    Args:
        workers: converters that several deployments share; without, this one has its own.

    Returns:
        An outcome a board, in the request's order: a board's trouble never raises.

    Raises:
        EdgewrightError: nothing was sent to any board: the model, the data or the files cannot be used.
    """
    return Deployment(request, history, ask_password, progress, workers).run()


class Deployment:
    """One run of `deploy` over all its boards."""

    def __init__(
        self,
        request: DeployRequest,
        history: History,
        ask_password: AskPassword | None,
        progress: Progress,
        workers: Workers | None,
    ) -> None:
        self.workers = workers
        self.request = request
        self.history = history
        self.progress = progress
        self.open = Opener(request.fleet, ask_password, progress)
        self.turns = Turns()
        self.profiles: dict[str, Profile] = {}
        self.failures: dict[str, BoardOutcome] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.scorings: dict[str, scoring.Scoring | None] = {}
        self.similarities: dict[str, Similarity | None] = {}
        self.version = ""
        self.interfaces: dict[
            str, Interface | None
        ] = {}  # of incumbents' artifacts, as this machine knows them
        self.lookup = threading.Lock()  # boards look into the store and the history one at a time

    def run(self) -> list[BoardOutcome]:
        """Identify, build, release; the outcomes in the request's order."""
        if self.request.artifact is not None:
            self.prepare_comparison(self.request.artifact)
        source_format = recognise(self.request.source).source.format if self.request.source else ""
        self.identify()
        self.build(source_format)
        boards = [board for board in self.request.boards if board.name not in self.failures]
        fan_out: FanOut[BoardOutcome] = FanOut(
            lambda board: self.deploy_board(board, fan_out), self.ended,
            parallel=self.request.parallel, progress=self.progress,
        )  # fmt: skip
        done = {outcome.board: outcome for outcome in fan_out.run(boards)} | self.failures
        outcomes = [done[board.name] for board in self.request.boards]
        if self.request.dry_run:
            return outcomes
        return recorded(self.history, "deploy", self.request.fleet.name, self.version, outcomes)

    def identify(self) -> None:
        """The profile of every board; only those that the fleet file does not say are asked.

        Raises:
            KeyboardInterrupt: the user stopped it; nothing was sent yet.
        """

        def ask(board: Board) -> None:
            if board.profile:
                self.profiles[board.name] = profile_of(board, Facts())
                return
            self.progress(Step(what="facts", board=board.name))
            with self.open(board) as session:
                self.profiles[board.name] = profile_of(board, session.facts())

        def failed(board: Board, error: EdgewrightError) -> None:
            self.failures[board.name] = self.ended(board, error)

        fan_out = FanOut(ask, failed, parallel=self.request.parallel, progress=self.progress)
        fan_out.run(self.request.boards)
        if fan_out.cancelled.is_set():
            raise KeyboardInterrupt

    def build(self, source_format: str) -> None:
        """The artifacts, and the version that they are released as. Raises when there is none for any board."""
        with ExitStack() as stack:
            used = self.workers or stack.enter_context(Workers(home.folder("logs") / "convert.log"))
            self.build_with(used, source_format)

    def build_with(self, workers: Workers, source_format: str) -> None:
        """As `build`, with workers that all of it shares."""
        known = [board for board in self.request.boards if board.name in self.profiles]
        builder = Builder(self.request, source_format, self.progress)
        errors = self.take(known, builder.build([self.profiles[board.name] for board in known], workers))
        errors += self.lower(builder, workers)
        if errors and not self.artifacts:
            raise errors[0]
        ids = sorted({artifact.id for artifact in self.artifacts.values()})
        self.version = self.request.version or self.history.version_for(
            self.request.fleet.name, self.request.model, ids
        )
        for artifact in self.artifacts.values():
            if artifact.id not in self.scorings:
                self.scorings[artifact.id] = scoring.prepared(self.request, artifact, workers)
            self.prepare_comparison(artifact)

    def prepare_comparison(self, artifact: Artifact) -> None:
        """Loads the user's own comparison. Raises UsageError where it is not the one that the artifact was made with."""
        if artifact.id not in self.similarities:
            self.similarities[artifact.id] = function_of(self.request, artifact)

    def take(
        self, boards: Sequence[Board], built: Sequence[Artifact | EdgewrightError]
    ) -> list[EdgewrightError]:
        """Notes what was built for each board, or why nothing was; returns the errors."""
        errors: list[EdgewrightError] = []
        for board, result in zip(boards, built, strict=True):
            if isinstance(result, Artifact):
                self.artifacts[board.name] = result
            else:
                errors.append(result)
                self.artifacts.pop(board.name, None)
                self.failures[board.name] = self.failed(board, result, Trace(), time.monotonic())
        return errors

    def lower(self, builder: Builder, workers: Workers) -> list[EdgewrightError]:
        """Builds a separate artifact for boards whose runtime reads only older opsets; returns the errors.

        Boards are asked only where an artifact is too new for some runtime that there is.
        """
        opsets: dict[str, int] = {}

        def ask(board: Board) -> None:
            manifest = self.artifacts[board.name].manifest
            self.progress(Step(what="facts", board=board.name))
            with self.open(board) as session:
                runtimes = readable.of_board(
                    session.facts(), targets.load(manifest.target), self.request.wheels
                )
            opset = readable.opset_for(manifest.requires, runtimes)
            if opset is not None:
                opsets[board.name] = opset

        def failed(board: Board, error: EdgewrightError) -> None:
            self.artifacts.pop(board.name)
            self.failures[board.name] = self.ended(board, error)

        if self.request.artifact is not None:
            return []
        asked = [
            board for board in self.request.boards
            if board.name in self.artifacts and readable.may_be_too_new(self.artifacts[board.name].manifest)
        ]  # fmt: skip
        if not asked:
            return []
        fan_out = FanOut(ask, failed, parallel=self.request.parallel, progress=self.progress)
        fan_out.run(asked)
        if fan_out.cancelled.is_set():
            raise KeyboardInterrupt
        boards = [board for board in asked if board.name in opsets]
        wanted = [(self.profiles[board.name], opsets[board.name]) for board in boards]
        return self.take(boards, builder.rebuild(wanted, workers)) if wanted else []

    def deploy_board(self, board: Board, fan_out: FanOut[BoardOutcome]) -> BoardOutcome:
        """One board from the connection to the commit; never raises for what the board does."""
        started = time.monotonic()
        trace = Trace()
        trace.profile, trace.artifact = self.profiles[board.name], self.artifacts[board.name]
        try:
            with self.open(board) as session:
                kind = self.attempt(board, session, trace, fan_out)
        except EdgewrightError as error:
            return self.failed(board, error, trace, started)
        return self.outcome(board, kind, trace, started)

    def attempt(self, board: Board, session: Session, trace: Trace, fan_out: FanOut[BoardOutcome]) -> str:
        """The board's checks, then its release; returns the outcome's word."""
        profile, artifact = self.profiles[board.name], self.artifacts[board.name]
        self.progress(Step(what="facts", board=board.name))
        trace.facts = facts = session.facts()
        fit.check_board(facts, profile, board=board.name)
        incumbent = incumbent_of(session, self.request.model)
        trace.current = incumbent.release
        fit.check_accelerator(
            self.request.accelerator or self.request.budget_of(profile).accelerator, facts, board=board.name
        )
        fit.check_artifact(facts, artifact.manifest, board=board.name)
        trace.release = f"{self.version}-{artifact.id[:8]}"
        if trace.current == trace.release and self.request.dry_run:
            return words.UNCHANGED
        trace.checks += uncalibrated(self.request, profile, artifact.manifest)
        if incumbent.release not in ("", trace.release):
            self.check_interface(session, incumbent, artifact, trace)
        choice = self.runtime(board, session, facts, trace)
        if self.request.dry_run:
            trace.steps += [f"send up to {sum(entry.size for entry in artifact.manifest.files)} bytes", "install",
                            "verify", "bench", "gate", "activate", "commit"]  # fmt: skip
            return words.PLANNED
        release = BoardRelease(
            self.request, board, session, trace, profile=profile, artifact=artifact, choice=choice, version=self.version,
            scoring=self.scorings.get(artifact.id), similarity=self.similarities.get(artifact.id),
            turn=self.turns.of(board), cancelled=fan_out.cancelled, reopen=lambda: self.open(board), progress=self.progress,
        )  # fmt: skip
        return release.confirm() if trace.current == trace.release else release.run()

    def check_interface(
        self, session: Session, incumbent: Incumbent, artifact: Artifact, trace: Trace
    ) -> None:
        """Compares with what the application on the board uses now, before anything is sent.

        Raises:
            GateRefused: it is another interface, and the user did not accept that.
        """
        with self.lookup:
            if incumbent.artifact not in self.interfaces:
                self.interfaces[incumbent.artifact] = interface_kept(incumbent.artifact, self.history)
        known = self.interfaces[incumbent.artifact] or interface_there(session, self.request.model, incumbent)
        if known is None:
            trace.checks.append(interface.unknown(incumbent.release))
            return
        accepted = self.request.accept_interface_change
        found = interface.checks(interface_of(artifact.manifest), known, incumbent.release, accepted=accepted)
        trace.checks += found
        if refusal := gate.refusal(found):
            hint = f"change what reads it on the board and give {interface.OPTION}, or deploy it under another --name"
            raise GateRefused(
                refusal, hint=f"`current` stays {incumbent.release}; {hint}", code=Code.INTERFACE
            )

    def runtime(self, board: Board, session: Session, facts: Facts, trace: Trace) -> RuntimeChoice:
        """The runtime that the artifact runs on there; provisioned when the board lacks it."""
        artifact = self.artifacts[board.name]
        choice = ensure_runtime(
            session, facts, artifact.manifest.target, requires=artifact.manifest.requires,
            wheels=self.request.wheels, progress=self.progress, dry_run=self.request.dry_run,
        )  # fmt: skip
        if choice.installed:
            trace.steps.append(f"provision {choice.name} {choice.version}")
            trace.sent_bytes += choice.bytes
        trace.runtime = f"{choice.name} {choice.version}"
        fit.check_runtime(artifact.manifest, choice, board=board.name)
        return choice

    def ended(self, board: Board, error: EdgewrightError) -> BoardOutcome:
        """The outcome of a board of which nothing else is known."""
        return self.failed(board, error, Trace(), time.monotonic())

    def failed(self, board: Board, error: EdgewrightError, trace: Trace, started: float) -> BoardOutcome:
        """The outcome of a board that ended with an error."""
        outcome = self.outcome(board, kind_of(error, trace), trace, started)
        return msgspec.structs.replace(outcome, code=error.code, message=error.message, hint=error.hint)

    def outcome(self, board: Board, kind: str, trace: Trace, started: float) -> BoardOutcome:
        """The outcome of a board from what was traced."""
        manifest = trace.artifact.manifest if trace.artifact else None
        return BoardOutcome(
            board=board.name,
            outcome=kind,
            model=self.request.model,
            release=trace.release,
            current=trace.current,
            profile=trace.profile.name if trace.profile else board.profile or "",
            target=manifest.target if manifest else "",
            precision=manifest.precision if manifest else "",
            artifact=trace.artifact.id if trace.artifact else "",
            runtime=trace.runtime,
            guard=trace.guard,
            checks=tuple(trace.checks),
            interface=interface_of(manifest) if manifest else None,
            measurement=trace.measurement,
            incumbent=trace.incumbent,
            steps=tuple(trace.steps),
            sent_bytes=trace.sent_bytes,
            seconds=round(time.monotonic() - started, 3),
            simulated=trace.facts.simulated,
        )


def uncalibrated(request: DeployRequest, profile: Profile, manifest: Manifest) -> list[Check]:
    """A line for people where the profile's own precision was not taken, for want of what it needs."""
    wanted = profile.precision
    asked = request.artifact is not None or request.precision_of(profile) is not None
    if asked or wanted == manifest.precision or not offered(targets.load(manifest.target).precisions, wanted):
        return []
    if PRECISIONS[wanted].calibrated and not request.calibration:
        option = "--calibration"
    elif PRECISIONS[wanted].mixed and not request.conversion.keep_float:
        option = "--keep-float"
    else:
        return []
    note = f"{wanted}, the default of {profile.name}, needs {option}: {manifest.precision} was taken"
    return [Check(name="precision", ok=True, note=note)]


def kind_of(error: EdgewrightError, trace: Trace) -> str:
    """The outcome's word for an error."""
    if isinstance(error, GateRefused):
        return words.REFUSED
    if isinstance(error, Aborted):
        return words.ABORTED
    if isinstance(error, LeftAtWork) or (trace.activating and not isinstance(error, BoardError)):
        return words.UNKNOWN
    if isinstance(error, Unreachable):
        return words.UNREACHABLE
    if isinstance(error, BoardError) and error.code in REVERTED_BY_BOARD:
        return words.REVERTED
    return words.FAILED


def recorded(
    history: History, action: str, fleet: str, version: str, outcomes: list[BoardOutcome]
) -> list[BoardOutcome]:
    """The outcomes, kept in the history; a history that fails must not lose them, each says so then."""
    try:
        history.record(action, fleet, version, outcomes)
    except EdgewrightError as error:
        return [
            msgspec.structs.replace(
                outcome,
                message="; ".join(filter(None, (outcome.message, f"not kept: {error.message}"))),
                hint=outcome.hint or error.hint,
            )
            for outcome in outcomes
        ]
    return outcomes
