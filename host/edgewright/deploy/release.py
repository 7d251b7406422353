"""One board's deployment: upload, install, verify, measure, gate, activate on trial, commit."""

from __future__ import annotations

import platform
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import msgspec

from edgewright.compile.answers import Answers
from edgewright.compile.similarity import Similarity
from edgewright.connect import runners
from edgewright.connect.provision import RuntimeChoice
from edgewright.connect.session import Session
from edgewright.deploy import board_answers, gate, golden_words
from edgewright.deploy.request import DeployRequest
from edgewright.deploy.scoring import Scoring
from edgewright.deploy.settle import settle, settled
from edgewright.deploy.trace import Trace
from edgewright.errors import Aborted, BoardError, Code, DataError, EdgewrightError, GateRefused, Unreachable
from edgewright.measure.benchmark import benchmark
from edgewright.measure.statistics import LEAST_SAMPLES
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.board import Board
from edgewright.nouns.measurement import Measurement, Protocol
from edgewright.nouns.outcome import Check
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress, Step
from edgewright.nouns.project import Budget
from edgewright.wire import commands
from edgewright.wire.commands import RunOptions
from edgewright_agent.protocol import HOOK_SECONDS

T = TypeVar("T")
LEASE_S = 60  # the session renews it; this is what is left of it when a board is cut off


# Codes that say that a release cannot run any more, or not with these inputs: such an incumbent is no measure.
NO_MEASURE = (
    Code.RELEASE_DAMAGED,
    Code.RUNTIME_DAMAGED,
    Code.RUNTIME_MISSING,
    Code.RUNNER_MISSING,
    Code.RUNNER_REFUSED,
    Code.LOAD_FAILED,
    Code.CHILD_CRASHED,
    Code.BAD_ARGUMENT,
    Code.NEWER_SCHEMA,  # of its manifest: a newer edgewright installed it
)


class BoardRelease:
    """Takes one artifact through one board's states.

    Args:
        similarity: the user's own comparison of the goldens, where the artifact was made with one.
        turn: held while the board is measured.
        cancelled: looked at between steps, up to the activation.
        reopen: opens another session to the same board, to settle an acknowledgement that was lost.
    """

    def __init__(
        self,
        request: DeployRequest,
        board: Board,
        session: Session,
        trace: Trace,
        *,
        profile: Profile,
        artifact: Artifact,
        choice: RuntimeChoice,
        version: str,
        scoring: Scoring | None,
        similarity: Similarity | None,
        turn: AbstractContextManager[object],
        cancelled: threading.Event,
        reopen: Callable[[], AbstractContextManager[Session]],
        progress: Progress,
    ) -> None:
        self.request = request
        self.board = board
        self.session = session
        self.trace = trace
        self.profile = profile
        self.artifact = artifact
        self.choice = choice
        self.version = version
        self.scoring = scoring
        self.similarity = similarity
        self.turn = turn
        self.cancelled = cancelled
        self.reopen = reopen
        self.progress = progress
        self.txn = uuid.uuid4().hex
        self.budget: Budget = request.budget_of(profile)
        self.release = f"{version}-{artifact.id[:8]}"
        self.comparable = True  # the incumbent, if there is one, can be run

    def run(self) -> str:
        """Deploys; returns `staged` or `committed`.

        Raises:
            GateRefused: discarded on the board, `current` never moved.
            EdgewrightError: the board's or the link's failure.
        """
        self.begin()
        try:
            return self._run()
        except EdgewrightError:
            if not self.trace.activating:
                self.discard()
            raise
        finally:
            self.end()

    def confirm(self) -> str:
        """Verifies the release when it is `current` already; returns `unchanged`.

        Raises:
            BoardError: it is damaged there, or does not run any more.
            GateRefused: it answers wrongly.
        """
        self.begin()
        try:
            self.verify()
        except BoardError as error:
            if error.code != Code.RELEASE_DAMAGED:
                raise
            another = "deploy it under another version: --version VERSION"
            hint = error.hint.replace("deploy it again", another) or another
            raise BoardError(error.message, hint=hint, code=error.code) from error
        finally:
            self.end()
        return "unchanged"

    def _run(self) -> str:
        self.install()
        self.verify(lenient=self.scoring is not None)
        with self.turn:
            self.evaluate()
            if self.scoring is not None:  # without one they pass only as the board accepted them before
                self.trace.checks += gate.unvouched(self.trace.checks)
            self.pass_gate()  # do not measure a model with wrong outputs
            self.measure()
        self.pass_gate()
        if self.request.stage:
            return "staged"
        return self.activate()

    def pass_gate(self) -> None:
        """Raises GateRefused when a check so far fails."""
        refusal = gate.refusal(self.trace.checks)
        if refusal:
            stays = f"`current` stays {self.trace.current or 'absent'}"
            raise GateRefused(refusal, hint=f"{stays}; see the checks with --json")

    def begin(self) -> None:
        """Takes the board's lease."""
        host = platform.node() or "unknown"
        self.session.call(commands.Begin(model=self.request.model, txn=self.txn, host=host, ttl_s=LEASE_S))

    def step(self, what: str, detail: str = "") -> None:
        """Says what begins now; ends here if the user stopped it."""
        self.trace.steps.append(f"{what} {detail}".strip())
        self.watched(Step(what=what, board=self.board.name, detail=detail))

    def watched(self, step: Step) -> None:
        """Passes progress on; ends here if the user stopped it, which ends the session and what it runs."""
        if self.cancelled.is_set():
            raise Aborted("stopped by the user", hint="`current` was not touched; deploy again to go on")
        self.progress(step)

    def options(self) -> RunOptions:
        """Threads and accelerator for every command that runs the model."""
        cpus = self.trace.facts.cpus or self.profile.threads
        accelerator = self.request.accelerator or self.budget.accelerator  # None: the runtime's first
        return RunOptions(min(self.profile.threads, cpus), accelerator)

    def put(self, source: Path | bytes, label: str) -> str:
        """Uploads what the board lacks; returns its sha256."""
        return self.put_all([(source, label)])[0]

    def put_all(self, sources: Sequence[tuple[Path | bytes, str]]) -> list[str]:
        """Uploads what the board lacks of (source, label); returns their sha256s."""
        return self.counted(lambda: self.session.put_all(sources))

    def counted(self, send: Callable[[], T]) -> T:
        """What a function returns; the bytes that it uploads are counted."""
        before = self.session.sent_bytes
        done = send()
        self.trace.sent_bytes += self.session.sent_bytes - before
        return done

    def install(self) -> None:
        """Uploads the artifact and installs it; `current` untouched."""
        manifest = self.artifact.manifest
        self.step("upload", f"{sum(entry.size for entry in manifest.files) / 1024**2:.1f} MiB")
        files: list[tuple[Path | bytes, str]] = [
            *((self.artifact.folder / entry.path, entry.path) for entry in manifest.files),
            *((path, f"hook {kind}") for kind, path in self.request.hooks.items()),
            (manifest.canonical(), "manifest.json"),
        ]
        *others, document = self.put_all(files)
        hooks = dict(zip(self.request.hooks, others[len(manifest.files) :], strict=True))
        # named only where it is another one: an agent that an administrator installed may not know the argument
        limit = 0.0 if self.request.hook_s == HOOK_SECONDS else self.request.hook_s
        runner = self.counted(lambda: runners.named(self.session, manifest.target))
        self.step("install", self.release)
        command = commands.Install(
            model=self.request.model, version=self.version, manifest=document, runtime=self.choice.ref,
            hooks=hooks, hook_s=limit, runner=runner, txn=self.txn,
        )  # fmt: skip
        self.release = self.trace.release = self.session.call(command).release

    def verify(self, *, lenient: bool = False) -> None:
        """The golden check, on the board's own runtime.

        Where an evaluation set decides next (`lenient`), outputs that are less exact than their precision allows are noted. Where one
        decided when the release was accepted, the board knows.
        """
        manifest = self.artifact.manifest
        self.step("verify", f"{manifest.goldens.count} goldens")
        how = self.options()
        # agents that know no verdict do not know `lenient` either, and a release without one has a tolerance instead
        command = commands.Verify(
            model=self.request.model, release=self.release, txn=self.txn, threads=how.threads,
            accelerator=how.accelerator, lenient=lenient and manifest.schema > 1,
        )  # fmt: skip
        answer = self.session.call(command)
        self.trace.runtime = answer.runtime
        check = gate.answers(answer, manifest)
        self.trace.checks.append(check)
        placed = gate.placement(answer, self.budget)
        self.trace.checks += [placed] if placed else []
        if not check.ok:
            raise GateRefused(gate.refusal([check]), hint=golden_words.hint(answer))
        if self.similarity is not None:
            own = board_answers.compared(self.session, self.similarity, self.artifact, answer.outputs)
            self.trace.checks.append(own)
            if not own.ok:
                raise GateRefused(gate.refusal([own]), hint=golden_words.REFUSED)

    def evaluate(self) -> None:
        """Has the evaluation set answered on the board, by the candidate and the incumbent, and scores the answers."""
        if self.scoring is None:
            return
        self.step("evaluate", self.request.evaluation.name if self.request.evaluation else "")
        digest = self.put(self.scoring.inputs, "evaluation set")
        mine = self.answers(self.scoring, self.release, digest)
        incumbent = self.answers_of_the_incumbent(self.scoring, digest)
        self.trace.checks += self.scoring.checks(self.artifact.manifest, mine, incumbent, self.budget)

    def answers_of_the_incumbent(self, scoring: Scoring, digest: str) -> Answers | None:
        """The incumbent's answers; None without one, or when it cannot be run: it must not block its successor."""
        if not self.trace.current:
            return None
        try:
            real = scoring.real()
            if real != scoring.inputs:
                digest = self.put(real, "evaluation set")
            return self.answers(scoring, self.trace.current, digest)
        except BoardError as error:
            self.no_measure(error)
        except DataError as error:  # it has no such output: it runs, but says nothing to compare with
            note = f"accuracy not compared with {self.trace.current}: {error.message}"
            self.trace.checks.append(Check(name="incumbent", ok=True, note=note))
        return None

    def no_measure(self, error: BoardError) -> None:
        """Notes that the incumbent is not compared with; raises what is not the incumbent's own fault."""
        if error.code not in NO_MEASURE:
            raise error
        self.comparable = False
        note = f"not compared with {self.trace.current}: {error.message}"
        self.trace.checks.append(Check(name="incumbent", ok=True, note=note))
        self.progress(Step(what="incumbent", board=self.board.name, detail=note))

    def answers(self, scoring: Scoring, release: str, digest: str) -> Answers:
        """One release's answers to the evaluation set, on the board."""
        return scoring.answers(self.session, self.request.model, release, digest, self.options())

    def measure(self) -> None:
        """Benchmarks the candidate, interleaved with the incumbent, and checks the budget.

        An invalid measurement is taken once more where the protocol's time allows: what made it so has often passed.
        """
        begun = time.monotonic()
        releases = [self.release]
        if self.comparable and self.trace.current not in ("", self.release):
            releases.append(self.trace.current)
        try:
            measured = self.benchmark(releases)
        except BoardError as error:
            if len(releases) == 1:
                raise
            releases = [self.release]
            measured = self.benchmark(releases)  # raises the same again if the candidate is at fault
            self.no_measure(error)
        left = self.request.protocol.limit_s - (time.monotonic() - begun)
        if measured[0].invalid and left > self.request.protocol.limit_s / 2:
            measured = self.benchmark(releases, limit_s=left)
        self.trace.measurement = measured[0]
        self.trace.incumbent = measured[1] if len(measured) > 1 else None
        self.trace.checks += gate.performance(
            measured[0], self.trace.incumbent, self.artifact.manifest.model_bytes, self.budget
        )

    def benchmark(self, releases: list[str], limit_s: float | None = None) -> list[Measurement]:
        """One benchmark of releases of this model."""
        protocol = self.protocol()
        if limit_s is not None:
            protocol = msgspec.structs.replace(protocol, limit_s=limit_s)
        how = self.options()
        self.step("bench", protocol.name)
        return benchmark(
            self.session, self.request.model, releases, protocol, board=self.board.name,
            artifacts={self.release: self.artifact.id}, simulated=self.trace.facts.simulated, progress=self.watched,
            threads=how.threads or 1, accelerator=how.accelerator,
        )  # fmt: skip

    def protocol(self) -> Protocol:
        """The protocol; a budget on p95 needs the samples to state one."""
        chosen = self.request.protocol
        if self.budget.p95_ms is None:
            return chosen
        least = -(-LEAST_SAMPLES[95] // chosen.rounds)
        return msgspec.structs.replace(chosen, min_samples=max(chosen.min_samples, least))

    def activate(self) -> str:
        """Moves `current` on trial, then commits; a lost acknowledgement is settled by asking again."""
        self.step("activate", self.release)
        self.trace.activating = True
        try:
            command = commands.Activate(
                model=self.request.model, release=self.release, expected_current=self.trace.current or None, txn=self.txn,
                deadline_s=self.request.deadline_s, unguarded=self.request.unguarded,
            )  # fmt: skip
            self.trace.guard = self.session.call(command).guard
            outcome = self.session.call(commands.Commit(txn=self.txn)).outcome
        except Unreachable:
            outcome = settle(self.reopen, self.txn)
        settled(self.trace, outcome)
        self.trace.current = self.release
        return outcome

    def discard(self) -> None:
        """Removes a refused release; a board that cannot any more will prune it later."""
        try:
            if self.trace.release and self.trace.release != self.trace.current:
                release = self.trace.release
                self.session.call(commands.Discard(model=self.request.model, release=release, txn=self.txn))
        except EdgewrightError:
            pass

    def end(self) -> None:
        """Gives the lease back; one that is lost expires by itself."""
        try:
            self.session.call(commands.End(txn=self.txn))
        except EdgewrightError:
            pass
