"""A deployment: builds what the boards need, fixes the plan, then runs each board's release in parallel."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import msgspec
from msgspec import UNSET

from edgewright import targets
from edgewright.compile.recognition import recognise
from edgewright.compile.workers.pool import Workers
from edgewright.config import home, trust
from edgewright.connect.opener import Opener
from edgewright.deployments import runtime_caps
from edgewright.deployments.artifacts import Builder, with_cpu
from edgewright.deployments.board_answers import function_of
from edgewright.deployments.board_record import Trace
from edgewright.deployments.executor import FanOut
from edgewright.deployments.incumbent import check_trial, model_on, refuse_trial
from edgewright.deployments.outcomes import failed
from edgewright.deployments.planned_deployment import Kept, PlannedDeployment, carry_out
from edgewright.deployments.request import DeployRequest
from edgewright.deployments.shipment import Shipment, absolute, attached, shipment_of
from edgewright.errors import BoardError, EdgewrightError, ProtocolError, Unreachable
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.board import Board
from edgewright.nouns.deploy_plan import BoardPlan, DeployPlan, ReleaseOrder
from edgewright.nouns.facts import Facts
from edgewright.nouns.outcome import BoardOutcome
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress, ProgressEvent, silent
from edgewright.runtimes.profile_match import profile_of
from edgewright.store.history import History
from edgewright.store.journal import this_host
from edgewright.wire.transport import AskPassword


def deploy(
    request: DeployRequest,
    *,
    history: History,
    ask_password: AskPassword | None = None,
    progress: Progress = silent,
    workers: Workers | None = None,
) -> list[BoardOutcome]:
    """Deploys a model to boards and records the outcome on each.

    Args:
        workers: converters that several deployments share; None starts separate ones.

    Returns:
        An outcome for each board, in the request's order: a board's failure never raises.

    Raises:
        EdgewrightError: nothing was sent to any board: the model, the data or the files cannot be used, or the journal cannot be
            written.
    """
    return Deployment(request, history, ask_password, progress, workers).run()


def prepare(
    request: DeployRequest,
    *,
    history: History,
    ask_password: AskPassword | None = None,
    progress: Progress = silent,
) -> PlannedDeployment:
    """Like `deploy`, but only up to the plan: sends and records nothing."""
    return Deployment(request, history, ask_password, progress, None).prepare()


class Draft:
    """What is known about one board before the plan is fixed; `failure` is set if the board cannot be in the plan."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.profile: Profile | None = None
        self.artifact: Artifact | None = None
        self.failure: BoardOutcome | None = None
        self.facts: Facts | None = None  # if the board was asked for them


class Ready(NamedTuple):
    """A board that is ready for the plan."""

    board: Board
    profile: Profile
    artifact: Artifact


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
        self.drafts = {board.name: Draft(board) for board in request.boards}
        self.shipments: dict[str, Shipment] = {}  # by the artifact's id
        self.version = ""

    def run(self) -> list[BoardOutcome]:
        """Prepares and releases; returns the outcomes in the request's order."""
        planned = self.prepare()
        return carry_out(planned, self.open, self.history, self.progress, self.request.parallel)

    def prepare(self) -> PlannedDeployment:
        """Identifies the boards, builds the artifacts and makes the plan. Sends and records nothing."""
        request, model = self.request, self.request.wanted.model
        if request.artifact is not None:
            function_of(model.compare, request.artifact)
        known = None if request.artifact is not None else recognise(model.source, trusted=bool(model.trusted))
        source_format = "" if known is None else known.source.format
        self.identify()
        self.build(source_format)
        return PlannedDeployment(
            fleet=request.fleet,
            boards=request.boards,
            plan=self.plan(),
            refused=tuple(draft.failure for draft in self.drafts.values() if draft.failure is not None),
            default_precision=frozenset(
                ready.board.name
                for ready in self.ready()
                if request.artifact is None and not request.wanted.precision_of(ready.profile)
            ),
            numbered=not request.version,
            dry_run=request.policy.dry_run,
            kept=Kept(shipments=self.shipments, logins=self.open.known, history=self.history),
        )

    def identify(self) -> None:
        """Finds the profile of every board; contacts only boards without a profile in the fleet file.

        Raises:
            KeyboardInterrupt: the user stopped it before anything was sent.
        """

        def ask(board: Board) -> None:
            facts = Facts()
            if not board.profile:
                self.progress(ProgressEvent(stage="facts", board=board.name))
                with self.open(board) as session:
                    facts = self.drafts[board.name].facts = session.facts()
                    refuse_trial(session, self.request.name)
            self.drafts[board.name].profile = profile_of(board, facts)

        self.fan_out(ask, self.request.boards)

    def fan_out(self, work: Callable[[Board], None], boards: Sequence[Board]) -> None:
        """Does something on boards in parallel; a board whose work raises an error is not in the plan.

        Raises:
            KeyboardInterrupt: the user stopped it before anything was sent.
        """
        fan_out = FanOut(work, self.lost, parallel=self.request.parallel, progress=self.progress)
        fan_out.run(boards)
        if fan_out.cancelled.is_set():
            raise KeyboardInterrupt

    def lost(self, board: Board, error: EdgewrightError) -> None:
        """Records why a board cannot be in the plan."""
        draft, trace = self.drafts[board.name], Trace()
        draft.artifact = None
        draft.failure = failed(board, self.request.name, error, trace)

    def build(self, source_format: str) -> None:
        """Builds the artifacts and chooses their version. Raises an error if no board gets an artifact."""
        with ExitStack() as stack:
            used = self.workers or stack.enter_context(
                Workers(home.folder("logs") / "convert.log", progress=self.progress)
            )
            self.build_with(used, source_format)

    def build_with(self, workers: Workers, source_format: str) -> None:
        """Like `build`, with one set of workers for all steps."""
        builder = Builder(self.request, source_format, self.progress)
        self.learn_cpus(builder)
        self.look_for_trials(builder)
        known = [draft for draft in self.drafts.values() if draft.failure is None]
        profiles = [draft.profile for draft in known if draft.profile is not None]
        errors = self.take(known, builder.build(profiles, workers))
        errors += self.lower(builder, workers)
        artifacts = {draft.artifact.id: draft.artifact for draft in known if draft.artifact is not None}
        if errors and not artifacts:
            raise errors[0]
        self.version = self.request.version or self.history.version_for(
            self.request.fleet.name, self.request.name, sorted(artifacts)
        )
        for artifact in artifacts.values():
            self.shipments[artifact.id] = shipment_of(
                self.request.wanted.model, artifact, workers,
                converted=self.request.artifact is None, fresh=not self.request.wanted.use_cache,
            )  # fmt: skip

    def learn_cpus(self, builder: Builder) -> None:
        """Completes the profiles that name no CPU with the board's, if its artifact is compiled for a CPU.

        Contacts only boards that `identify` did not contact.
        """

        def ask(board: Board) -> None:
            draft = self.drafts[board.name]
            if draft.facts is None:
                self.progress(ProgressEvent(stage="facts", board=board.name))
                with self.open(board) as session:
                    draft.facts = session.facts()
            if draft.profile is not None:
                draft.profile = with_cpu(draft.profile, draft.facts)

        boards = [
            draft.board for draft in self.drafts.values() if draft.profile is not None and builder.needs_cpu(draft.profile)
        ]  # fmt: skip
        if boards:
            self.fan_out(ask, boards)

    def look_for_trials(self, builder: Builder) -> None:
        """Refuses boards where the model is on trial, before anything is converted for them.

        Contacts only boards that need a conversion and that `identify` did not contact: a board whose artifact is given or
        cached meets a trial soon enough in its task, without another session.
        """

        def look(board: Board) -> None:
            self.progress(ProgressEvent(stage="status", board=board.name))
            try:
                with self.open(board) as session:
                    found = model_on(session, self.request.name)
            except (Unreachable, BoardError, ProtocolError):
                return  # it may be back after the conversion; else its task reports what is wrong
            check_trial(board.name, self.request.name, found)

        boards = [
            draft.board for draft in self.drafts.values()
            if draft.board.profile and draft.profile is not None and builder.converts(draft.profile)
        ]  # fmt: skip
        if boards:
            self.fan_out(look, boards)

    def take(
        self, drafts: Sequence[Draft], built: Sequence[Artifact | EdgewrightError]
    ) -> list[EdgewrightError]:
        """Records the artifact of each board, or why it has none; returns the errors."""
        errors: list[EdgewrightError] = []
        for draft, result in zip(drafts, built, strict=True):
            if isinstance(result, Artifact):
                draft.artifact = result
            else:
                errors.append(result)
                self.lost(draft.board, result)
        return errors

    def lower(self, builder: Builder, workers: Workers) -> list[EdgewrightError]:
        """Builds a separate artifact for boards whose runtime reads only older opsets; returns the errors.

        Contacts a board only if its artifact is too new for some version of the runtime.
        """
        if self.request.artifact is not None:
            return []
        asked = {
            ready.board.name: ready for ready in self.ready() if runtime_caps.may_be_too_new(ready.artifact.manifest)
        }  # fmt: skip
        opsets: dict[str, int] = {}

        def ask(board: Board) -> None:
            profile, manifest = asked[board.name].profile, asked[board.name].artifact.manifest
            self.progress(ProgressEvent(stage="facts", board=board.name))
            with self.open(board) as session:
                runtimes = runtime_caps.of_board(
                    session.facts(), targets.load(manifest.target), self.request.wheels
                )
                opset = runtime_caps.opset_for(manifest.requires, runtimes)
                if opset is not None and builder.converts(profile, opset):
                    refuse_trial(session, self.request.name)
            if opset is not None:
                opsets[board.name] = opset

        if not asked:
            return []
        self.fan_out(ask, [ready.board for ready in asked.values()])
        wanted = [(asked[name].profile, opset) for name, opset in sorted(opsets.items())]
        drafts = [self.drafts[name] for name in sorted(opsets)]
        return self.take(drafts, builder.rebuild(wanted, workers)) if wanted else []

    def ready(self) -> list[Ready]:
        """The boards that have everything a plan needs."""
        return [
            Ready(draft.board, draft.profile, draft.artifact)
            for draft in self.drafts.values()
            if draft.failure is None and draft.profile is not None and draft.artifact is not None
        ]

    def plan(self) -> DeployPlan:
        """Makes the plan: what to do on which board."""
        request = self.request
        ready = self.ready()
        ids = {name: pin.board_id for name, pin in trust.load(request.fleet).boards.items()}
        last = {} if request.policy.dry_run else self.last_releases(ids)
        scorings = [shipment.scoring for shipment in self.shipments.values()]
        return DeployPlan(
            nonce=uuid.uuid4().hex,
            host=this_host(),
            fleet=request.fleet.name,
            version=self.version,
            model=absolute(request.wanted.model),
            converted=request.artifact is None,
            evaluation_sha256=next((one.sha256 for one in scorings if one is not None), ""),
            metric_sha256=next((one.metric_sha256 for one in scorings if one is not None), "") or UNSET,
            wheels=tuple(attached(path) for path in request.wheels),
            boards=tuple(
                BoardPlan(
                    board=board.name,
                    board_id=ids.get(board.name, ""),
                    expected_current=last.get(board.name),
                    profile=profile.name,
                    artifact=artifact.id,
                    order=self.order(profile),
                )
                for board, profile, artifact in ready
            ),
        )

    def last_releases(self, ids: Mapping[str, str]) -> dict[str, str]:
        """The boards' last releases in the history, only for boards whose pinned id is the recorded one.

        Args:
            ids: the pinned board ids.
        """
        names = [board.name for board in self.request.boards]
        return {
            last.board: last.release
            for last in self.history.last_releases(self.request.fleet.name, names)
            if last.model == self.request.name and last.release and last.board_id
            if last.board_id == ids.get(last.board)
        }

    def order(self, profile: Profile) -> ReleaseOrder:
        """How to release an artifact on boards of a profile."""
        request = self.request
        return ReleaseOrder(
            model=request.name,
            version=self.version,
            policy=msgspec.structs.replace(request.policy, budget=request.budget_of(profile)),
            hooks={kind: attached(path) for kind, path in request.hooks.items()},
            hook_s=request.hook_s,
        )
