"""A deployment: builds what the boards need, fixes the plan, then runs each board's release in parallel."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import NamedTuple

import msgspec

from edgewright import targets
from edgewright.compile.recognition import recognise
from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.config import trust as trust_files
from edgewright.connect.opener import Opener
from edgewright.deploy import runtime_caps
from edgewright.deploy.artifacts import Builder
from edgewright.deploy.board_answers import function_of
from edgewright.deploy.board_record import Trace
from edgewright.deploy.executor import FanOut, Turns
from edgewright.deploy.incumbent import IncumbentInterfaces
from edgewright.deploy.journal import NoJournal
from edgewright.deploy.outcomes import failed, recorded
from edgewright.deploy.request import DeployRequest
from edgewright.deploy.shipment import Shipment, absolute, attached, shipment_of
from edgewright.deploy.task import BoardTask, Tools, run_tasks
from edgewright.errors import EdgewrightError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.board import Board
from edgewright.nouns.deploy_plan import BoardPlan, DeployPlan, ReleaseOrder
from edgewright.nouns.facts import Facts
from edgewright.nouns.outcome import BoardOutcome
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress, Step, silent
from edgewright.runtimes.profile_match import profile_of
from edgewright.store.history import History
from edgewright.store.journal import BoardRecord, DeploymentJournal, this_host, working_on
from edgewright.wire.transport import AskPassword


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
        EdgewrightError: nothing was sent to any board: the model, the data or the files cannot be used, or the journal cannot be
            written.
    """
    return Deployment(request, history, ask_password, progress, workers).run()


class Draft:
    """What is known of one board before the plan is fixed; `failure` once it cannot be in it."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.profile: Profile | None = None
        self.artifact: Artifact | None = None
        self.failure: BoardOutcome | None = None


class Ready(NamedTuple):
    """A board that can be in the plan."""

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
        """Identify, build, plan, release; the outcomes in the request's order."""
        artifact, model = self.request.artifact, self.request.wanted.model
        if artifact is not None:
            function_of(model.compare, artifact)
        source_format = "" if artifact is not None else recognise(model.source).source.format
        self.identify()
        self.build(source_format)
        plan = self.plan()
        done = self.release(plan) if plan.boards else {}
        lost = [draft.failure for draft in self.drafts.values() if draft.failure is not None]
        if lost and not self.request.policy.dry_run:
            lost = recorded(self.history, "deploy", self.request.fleet.name, self.version, lost)
        done |= {outcome.board: outcome for outcome in lost}
        return [done[board.name] for board in self.request.boards]

    def identify(self) -> None:
        """The profile of every board; only those that the fleet file does not say are asked.

        Raises:
            KeyboardInterrupt: the user stopped it; nothing was sent yet.
        """

        def ask(board: Board) -> None:
            facts = Facts()
            if not board.profile:
                self.progress(Step(what="facts", board=board.name))
                with self.open(board) as session:
                    facts = session.facts()
            self.drafts[board.name].profile = profile_of(board, facts)

        fan_out = FanOut(ask, self.lost, parallel=self.request.parallel, progress=self.progress)
        fan_out.run(self.request.boards)
        if fan_out.cancelled.is_set():
            raise KeyboardInterrupt

    def lost(self, board: Board, error: EdgewrightError) -> None:
        """Notes why a board cannot be in the plan."""
        draft, trace = self.drafts[board.name], Trace()
        draft.artifact = None
        draft.failure = failed(board, self.request.name, error, trace)

    def build(self, source_format: str) -> None:
        """The artifacts, and the version that they are released as. Raises when there is none for any board."""
        with ExitStack() as stack:
            used = self.workers or stack.enter_context(Workers(home.folder("logs") / "convert.log"))
            self.build_with(used, source_format)

    def build_with(self, workers: Workers, source_format: str) -> None:
        """As `build`, with workers that all of it shares."""
        known = [draft for draft in self.drafts.values() if draft.failure is None]
        profiles = [draft.profile for draft in known if draft.profile is not None]
        builder = Builder(self.request, source_format, self.progress)
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

    def take(
        self, drafts: Sequence[Draft], built: Sequence[Artifact | EdgewrightError]
    ) -> list[EdgewrightError]:
        """Notes what was built for each board, or why nothing was; returns the errors."""
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

        Boards are asked only where an artifact is too new for some runtime that there is.
        """
        if self.request.artifact is not None:
            return []
        asked = {
            ready.board.name: ready for ready in self.ready() if runtime_caps.may_be_too_new(ready.artifact.manifest)
        }  # fmt: skip
        opsets: dict[str, int] = {}

        def ask(board: Board) -> None:
            manifest = asked[board.name].artifact.manifest
            self.progress(Step(what="facts", board=board.name))
            with self.open(board) as session:
                runtimes = runtime_caps.of_board(
                    session.facts(), targets.load(manifest.target), self.request.wheels
                )
            opset = runtime_caps.opset_for(manifest.requires, runtimes)
            if opset is not None:
                opsets[board.name] = opset

        if not asked:
            return []
        fan_out = FanOut(ask, self.lost, parallel=self.request.parallel, progress=self.progress)
        fan_out.run([ready.board for ready in asked.values()])
        if fan_out.cancelled.is_set():
            raise KeyboardInterrupt
        wanted = [(asked[name].profile, opset) for name, opset in sorted(opsets.items())]
        drafts = [self.drafts[name] for name in sorted(opsets)]
        return self.take(drafts, builder.rebuild(wanted, workers)) if wanted else []

    def ready(self) -> list[Ready]:
        """The boards that have all that a plan needs."""
        return [
            Ready(draft.board, draft.profile, draft.artifact)
            for draft in self.drafts.values()
            if draft.failure is None and draft.profile is not None and draft.artifact is not None
        ]

    def plan(self) -> DeployPlan:
        """What is done to which board."""
        request = self.request
        ready = self.ready()
        ids = {name: pin.board_id for name, pin in trust_files.load(request.fleet).boards.items()}
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
        """What boards run by the history, where the pinned board is the one that it recorded.

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
        """What becomes of an artifact on boards of a kind."""
        request = self.request
        return ReleaseOrder(
            model=request.name,
            version=self.version,
            policy=msgspec.structs.replace(request.policy, budget=request.budget_of(profile)),
            hooks={kind: attached(path) for kind, path in request.hooks.items()},
            hook_s=request.hook_s,
        )

    def release(self, plan: DeployPlan) -> dict[str, BoardOutcome]:
        """The boards of the plan, each in its own time."""
        dry_run = self.request.policy.dry_run
        tools = Tools(
            self.open, NoJournal() if dry_run else DeploymentJournal(self.history), IncumbentInterfaces(self.history), Turns(),
            self.progress, threading.Event(),
        )  # fmt: skip
        tasks = [self.task(plan, BoardRecord(plan=entry), tools) for entry in plan.boards]
        with nullcontext() if dry_run else working_on(plan.id):
            tools.journal.begin(plan)
            return run_tasks(plan, tasks, tools, self.request.parallel)

    def task(self, plan: DeployPlan, record: BoardRecord, tools: Tools) -> BoardTask:
        """One board's part of the plan."""
        draft = self.drafts[record.plan.board]
        named = self.request.artifact is not None or bool(
            draft.profile and self.request.wanted.precision_of(draft.profile)
        )
        shipment = self.shipments[record.plan.artifact]
        return BoardTask(plan, record, draft.board, shipment, tools._replace(precision_asked=named))
