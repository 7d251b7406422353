"""BoardTask: one board's part of a plan, from the connection to its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from edgewright.config import profiles
from edgewright.connect import runners
from edgewright.connect.opener import Opener
from edgewright.connect.session import Session
from edgewright.deployments import earlier_failures, gate, interface, preflight
from edgewright.deployments.artifacts import default_note
from edgewright.deployments.board_record import Trace
from edgewright.deployments.earlier_failures import Candidate
from edgewright.deployments.executor import FanOut, Stop, Turns
from edgewright.deployments.incumbent import Incumbent, IncumbentInterfaces, incumbent_of
from edgewright.deployments.journal import Journal
from edgewright.deployments.outcomes import REVERTED_BY_BOARD, failed, not_kept, outcome_of
from edgewright.deployments.release import BoardRelease
from edgewright.deployments.settlement import settled
from edgewright.deployments.shipment import Shipment
from edgewright.deployments.transaction import Transaction, new_txn
from edgewright.errors import Aborted, Code, EdgewrightError, GateRefused
from edgewright.file_hashes import HASHES
from edgewright.nouns.artifact import Artifact, Manifest
from edgewright.nouns.board import Board
from edgewright.nouns.deploy_plan import BoardPlan, DeployPlan
from edgewright.nouns.interface import interface_of
from edgewright.nouns.model_input import ModelInput
from edgewright.nouns.outcome import COMMITTED, PLANNED, UNCHANGED, UNKNOWN, BoardOutcome, Check
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress, ProgressEvent
from edgewright.runtimes.install import RuntimeChoice, ensure_runtime
from edgewright.store.journal import BEGUN, BoardRecord
from edgewright.wire import commands


class Tools(NamedTuple):
    """The dependencies that the tasks of a run share.

    Attributes:
        cancelled: set once the user stopped the run.
        precision_asked: the user or the project named a precision.
        resuming: an earlier run left these tasks.
    """

    open: Opener
    journal: Journal
    interfaces: IncumbentInterfaces
    turns: Turns
    progress: Progress
    cancelled: Stop
    precision_asked: bool = True
    resuming: bool = False


class BoardTask:
    """One board of a plan. It can be run again after any step: it first asks the board how the earlier transaction ended.

    Args:
        entry: the board's record, from the plan or the journal.
        shipment: what to send, or why it cannot be sent any more.

    Attributes:
        left_open: the run ended before it changed the board, and another run may finish it.
    """

    def __init__(
        self,
        plan: DeployPlan,
        entry: BoardRecord,
        board: Board,
        shipment: Shipment | EdgewrightError,
        tools: Tools,
    ) -> None:
        self.plan = plan
        self.record = entry
        self.entry: BoardPlan = entry.plan
        self.order = entry.plan.order
        self.board = board
        self.shipment = shipment
        self.tools = tools
        self.txn = entry.txn or new_txn()
        self.left_open = False
        self._unlearned = entry.state == BEGUN  # whether the outcome of the earlier transaction is unknown
        self._touched = self._undeliverable = False
        self.trace = Trace()
        self.trace.deployment = "" if self.order.policy.dry_run else plan.id
        if isinstance(shipment, Shipment):
            self.trace.artifact = shipment.artifact

    def run(self) -> BoardOutcome:
        """Runs the task; returns the board's outcome. A board's failure never raises."""
        try:
            self.trace.profile = profiles.load(self.entry.profile)
            with self.tools.open(self.board) as session:
                self.trace.board_id = session.greeting.board_id
                kind = self.learned(session) or self.attempt(session, self.trace.profile)
        except EdgewrightError as error:
            return self.ended(error)
        return outcome_of(self.board, self.order.model, kind, self.trace)

    def ended(self, error: EdgewrightError) -> BoardOutcome:
        """The outcome of a board that ended with an error."""
        self.left_open = self._stays_open(error)
        found = failed(self.board, self.order.model, error, self.trace)
        if self._unlearned and error.code not in REVERTED_BY_BOARD:
            found = msgspec.structs.replace(found, outcome=UNKNOWN, release=self.entry.release)
        return found

    def _stays_open(self, error: EdgewrightError) -> bool:
        """Whether a resume left the board open: it could not ask, or it lacks something that the user can restore."""
        if not self.tools.resuming or self._touched:
            return False
        if self._unlearned:
            return error.code not in REVERTED_BY_BOARD
        return self._undeliverable or not isinstance(error, GateRefused)

    def learned(self, session: Session) -> str:
        """The outcome of the transaction of an interrupted run; empty if the board never activated it.

        Commits a trial that is still open: it began after the gate had passed.
        """
        if self.record.state != BEGUN:
            return ""
        outcome = session.call(commands.AskOutcome(txn=self.txn)).outcome
        if outcome == "unknown":
            self._unlearned = False
            return ""
        self.trace.facts, self.trace.release = session.facts(), self.entry.release
        self.trace.current = self.entry.expected_current or ""
        if self.order.policy.dry_run:
            self.trace.steps.append("commit" if outcome == "trial" else f"note that it is {outcome}")
            return PLANNED
        if outcome == "trial":
            self.trace.activating = True
            self.trace.steps.append("commit")
            outcome = session.call(commands.Commit(txn=self.txn)).outcome
        self._unlearned, self._touched = False, True
        settled(self.trace, outcome, commands.Activate.do, self.board.name)
        self.trace.current = self.entry.release
        return COMMITTED

    def attempt(self, session: Session, profile: Profile) -> str:
        """Runs the board's checks, then its release; returns the kind of outcome."""
        trace, policy = self.trace, self.order.policy
        self.watched(ProgressEvent(stage="facts", board=self.board.name))
        status = session.status()
        trace.facts = facts = session.facts()
        preflight.check_board(facts, profile, board=self.board.name)
        incumbent = incumbent_of(session, self.order.model, self.txn, status)
        trace.current, trace.release = incumbent.release, self.entry.release
        shipment = self.still_wanted(session, incumbent.release)
        manifest = shipment.artifact.manifest
        accelerator = policy.accelerator or policy.budget.accelerator
        preflight.check_accelerator(accelerator, facts, board=self.board.name)
        preflight.check_taken(accelerator, manifest, board=self.board.name)
        preflight.check_cpu(facts, manifest, board=self.board.name)
        preflight.check_memory(facts, manifest, board=self.board.name)
        if trace.current == trace.release:
            self.check_hooks(incumbent)
            if policy.dry_run:
                return UNCHANGED
        else:  # a release that is there needs no room
            preflight.check_disk(facts, manifest, board=self.board.name)
        if not self.tools.precision_asked:
            trace.checks += precision_notes(self.plan.model, profile, manifest)
        if incumbent.release not in ("", trace.release):
            self.check_interface(session, incumbent, shipment.artifact)
        self.begin(session, incumbent)
        choice = self.runtime(session, manifest)
        if trace.release != trace.current:
            earlier_failures.refuse(incumbent.known, self.candidate(session, manifest, choice))
        if policy.dry_run:
            trace.steps += [f"send up to {sum(entry.size for entry in manifest.files)} bytes", "install",
                            "verify", "bench", "gate", "activate", "commit"]  # fmt: skip
            return PLANNED
        transaction = Transaction(session, self.order.model, lambda: self.tools.open(self.board), self.txn)
        release = BoardRelease(self.order, shipment, profile, transaction, trace, self.watched)
        if trace.current == trace.release:
            return release.confirm()
        with transaction:
            evaluation = self.plan.model.evaluation
            turn = self.tools.turns.of(self.board)
            return release.run(choice.ref, evaluation.name if evaluation else "", turn)

    def still_wanted(self, session: Session, current: str) -> Shipment:
        """The shipment, if the plan still applies to the board.

        Raises:
            GateRefused: the board or its current release is not the planned one, a later deployment or rollback reached
                the board, or the shipment cannot be sent any more.
        """
        again = "look at `edgewright status`, then deploy again"
        name, expected = self.board.name, self.entry.expected_current
        if self.entry.board_id not in ("", session.greeting.board_id):
            raise GateRefused(
                f"{name} is another board than the plan is for", hint=again, code=Code.BOARD_REPLACED
            )
        if self.record.superseded:
            raise GateRefused(
                f"a later deployment or rollback of {self.order.model} reached {name}",
                hint=again,
                code=Code.SUPERSEDED,
            )
        # the first run trusts the board: the history may be out of date
        if self.tools.resuming and expected is not None and current not in (expected, self.entry.release):
            raise GateRefused(
                f"current is {current or 'absent'}, the plan replaces {expected or 'nothing'}",
                hint=again,
                code=Code.CONFLICT,
            )
        if isinstance(self.shipment, EdgewrightError):
            error, self._undeliverable = self.shipment, True
            raise GateRefused(error.message, hint=error.hint or again, code=error.code)
        return self.shipment

    def begin(self, session: Session, incumbent: Incumbent) -> None:
        """Records the board's answers in the journal before changing the board."""
        self.entry = msgspec.structs.replace(
            self.entry, board_id=session.greeting.board_id, expected_current=incumbent.release
        )
        self.tools.journal.begun(self.plan, self.entry, self.txn)
        self._touched = True

    def watched(self, step: ProgressEvent) -> None:
        """Forwards progress; raises Aborted if the user stopped the run, which ends the session and its commands."""
        if self.tools.cancelled.is_set():
            by = self.tools.cancelled.by
            raise Aborted(f"stopped by {by}", hint="`current` was not touched; deploy again to go on")
        self.tools.progress(step)

    def candidate(self, session: Session, manifest: Manifest, choice: RuntimeChoice) -> Candidate:
        """What is about to be installed, for the comparison with earlier failures."""
        return Candidate(
            release=self.entry.release,
            artifact=manifest.id,
            runtime=choice.ref,
            version=choice.version,
            hooks={kind: hook.sha256 for kind, hook in self.order.hooks.items()},
            hook_s=self.order.hook_limit_s,
            runner=runners.offered(session, manifest.target),
        )

    def check_hooks(self, incumbent: Incumbent) -> None:
        """Refuses a release that is current with other hooks: a release keeps the hooks that it was installed with.

        Raises:
            GateRefused: `in-use`.
        """
        wanted = {kind: hook.sha256 for kind, hook in self.order.hooks.items()}
        if incumbent.hooks is None:
            return
        kinds = [
            kind
            for kind in sorted({*incumbent.hooks, *wanted})
            if incumbent.hooks.get(kind) != wanted.get(kind)
        ]
        if wanted and incumbent.hook_s not in (None, self.order.hook_limit_s):
            kinds.append("timeout_s")
        if not kinds:
            return
        raise GateRefused(
            f"{incumbent.release} is current on {self.board.name} with other hooks: {', '.join(kinds)}",
            hint=Code.IN_USE.cure,
            code=Code.IN_USE,
        )

    def check_interface(self, session: Session, incumbent: Incumbent, artifact: Artifact) -> None:
        """Compares the interface with the one that the application on the board uses now, before sending anything.

        Raises:
            GateRefused: the interface differs, and the user did not accept the change.
        """
        known = self.tools.interfaces.of(session, self.order.model, incumbent)
        if known is None:
            self.trace.checks.append(interface.unknown(incumbent.release))
            return
        accepted = self.order.policy.accept_interface_change
        found = interface.checks(interface_of(artifact.manifest), known, incumbent.release, accepted=accepted)
        self.trace.checks += found
        if refusal := gate.refusal(found):
            hint = f"change what reads it on the board and give {interface.OPTION}, or deploy it under another --name"
            raise GateRefused(
                refusal, hint=f"`current` stays {incumbent.release}; {hint}", code=Code.INTERFACE
            )

    def runtime(self, session: Session, manifest: Manifest) -> RuntimeChoice:
        """The runtime for the artifact on the board; provisions it if the board lacks it."""
        trace = self.trace
        preflight.check_system(manifest, trace.facts, board=self.board.name)
        choice = ensure_runtime(
            session, trace.facts, manifest.target, requires=manifest.requires,
            wheels=tuple(wheel.path for wheel in self.plan.wheels), progress=self.tools.progress,
            dry_run=self.order.policy.dry_run,
        )  # fmt: skip
        if choice.installed:
            trace.steps.append(f"provision {choice.name} {choice.version}")
            trace.sent_bytes += choice.bytes
        trace.runtime = f"{choice.name} {choice.version}"
        preflight.check_runtime(manifest, choice, board=self.board.name)
        return choice


def precision_notes(model: ModelInput, profile: Profile, manifest: Manifest) -> list[Check]:
    """A note for people if the profile's precision was not used because something that it needs is missing."""
    note = default_note(model, profile, manifest.target, manifest.precision)
    return [Check(name="precision", ok=True, note=note)] if note else []


def to_hash(plan: DeployPlan, tasks: Sequence[BoardTask]) -> list[Path]:
    """The files that boards may get and whose hash is not known yet: they are hashed while the first boards are reached."""
    real = [task.shipment for task in tasks if not task.order.policy.dry_run]
    scorings = [one.scoring for one in real if isinstance(one, Shipment)]
    sets = [scoring.inputs for scoring in scorings if scoring is not None]
    return list(dict.fromkeys([*sets, *(wheel.path for wheel in plan.wheels if real)]))


def run_tasks(
    plan: DeployPlan, tasks: Sequence[BoardTask], tools: Tools, parallel: int
) -> dict[str, BoardOutcome]:
    """Runs the tasks of a plan in parallel; returns the outcomes by board.

    Records each outcome in the journal at once, except for a board that is left open.
    """
    by_name = {task.board.name: task for task in tasks}
    for path in to_hash(plan, tasks):
        HASHES.begin(path)

    def keep(task: BoardTask, outcome: BoardOutcome) -> BoardOutcome:
        tools.progress(ProgressEvent(board=outcome.board, stage=outcome.outcome, detail=outcome.message))
        if task.left_open:  # the journal already has what the next run needs
            return outcome
        try:
            tools.journal.ended(plan, outcome)
        except EdgewrightError as error:  # the board's outcome must not be lost
            return not_kept(outcome, error)
        return outcome

    fan_out = FanOut(
        lambda board: keep(by_name[board.name], by_name[board.name].run()),
        lambda board, error: keep(by_name[board.name], by_name[board.name].ended(error)),
        parallel=parallel, progress=tools.progress, cancelled=tools.cancelled,
    )  # fmt: skip
    return {outcome.board: outcome for outcome in fan_out.run([task.board for task in tasks])}
