"""One board's deployment: upload, install, verify, measure, gate, activate on trial, commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import msgspec

from edgewright.compile.data.answers import Answers
from edgewright.connect import runners
from edgewright.deployments import board_answers, gate, golden_words
from edgewright.deployments.board_record import Trace
from edgewright.deployments.board_scoring import Scoring
from edgewright.deployments.shipment import Shipment
from edgewright.deployments.transaction import Transaction
from edgewright.errors import BoardError, Code, DataError, EdgewrightError, GateRefused
from edgewright.measure.benchmark import Compiled, benchmark
from edgewright.measure.statistics import LEAST_SAMPLES
from edgewright.measure.threads import threads_on
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.deploy_plan import ReleaseOrder
from edgewright.nouns.measurement import Measurement, Protocol
from edgewright.nouns.outcome import Check
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress, ProgressEvent
from edgewright.wire import commands
from edgewright.wire.answers import Verdict
from edgewright.wire.commands import RunOptions

T = TypeVar("T")

# Codes for a release that cannot run any more, or not with these inputs: such an incumbent cannot be compared with.
NO_MEASURE = (
    Code.RELEASE_DAMAGED,
    Code.RUNTIME_DAMAGED,
    Code.RUNTIME_MISSING,
    Code.RUNNER_MISSING,
    Code.RUNNER_REFUSED,
    Code.LOAD_FAILED,
    Code.CHILD_CRASHED,
    Code.BAD_ARGUMENT,
    Code.NEWER_SCHEMA,  # the manifest's schema: a newer edgewright installed the release
)


def compiled(artifact: Artifact) -> Compiled:
    """The contents of a release of this artifact."""
    return Compiled(artifact.id, artifact.manifest.target, artifact.manifest.precision)


class BoardRelease:
    """One release on one board, under a transaction: install, verify, measure, activate. Each step can be repeated.

    Args:
        progress: before the activation, raises Aborted between two steps once the user stopped the run.
    """

    def __init__(
        self,
        order: ReleaseOrder,
        shipment: Shipment,
        profile: Profile,
        transaction: Transaction,
        trace: Trace,
        progress: Progress,
    ) -> None:
        self.order = order
        self.artifact, self.scoring, self.similarity = shipment
        self.profile = profile
        self.transaction = transaction
        self.session = transaction.session
        self.trace = trace
        self.progress = progress
        self.budget = order.policy.budget
        self.release = f"{order.version}-{self.artifact.id[:8]}"
        self.comparable = True  # whether the incumbent, if any, can run

    def run(self, runtime: str, evaluation: str, turn: AbstractContextManager[object]) -> str:
        """Deploys the release; returns `staged` or `committed`.

        Args:
            runtime: the board's name for the runtime. evaluation: the name of the evaluation set, for people.
            turn: held while the board is measured.

        Raises:
            GateRefused: the release was discarded on the board, and `current` never moved.
            EdgewrightError: the board or the link failed.
        """
        try:
            self.install(runtime)
            self.verify(lenient=self.scoring is not None)
            with turn:
                self.evaluate(evaluation)
                if self.scoring is not None:  # else only if the board accepted them before
                    self.trace.checks += gate.unvouched(self.trace.checks)
                self.pass_gate()  # do not measure a release with wrong outputs
                self.measure()
            self.pass_gate()
            return "staged" if self.order.policy.stage else self.activate()
        except EdgewrightError:
            if not self.trace.activating:
                self.discard()
            raise

    def confirm(self) -> str:
        """Verifies a release that is already `current`; returns `unchanged`.

        Raises:
            BoardError: the release is damaged, or does not run any more.
            GateRefused: its outputs are wrong.
        """
        try:
            self.judge(self.transaction.run_alone(self.verification(lenient=False)))
        except BoardError as error:
            if error.code != Code.RELEASE_DAMAGED:
                raise
            another = "deploy it under another version: --version VERSION"
            hint = error.hint.replace(Code.RELEASE_DAMAGED.cure, another).replace("deploy it again", another)
            raise BoardError(error.message, hint=hint or another, code=error.code) from error
        return "unchanged"

    def pass_gate(self) -> None:
        """Raises GateRefused if any check so far failed."""
        refusal = gate.refusal(self.trace.checks)
        if refusal:
            stays = f"`current` stays {self.trace.current or 'absent'}"
            raise GateRefused(refusal, hint=f"{stays}; {gate.advice(self.trace.checks)}")

    def step(self, what: str, detail: str = "") -> None:
        """Reports that a step begins; raises Aborted if the user stopped the run."""
        self.trace.steps.append(f"{what} {detail}".strip())
        self.progress(ProgressEvent(stage=what, board=self.session.board.name, detail=detail))

    def options(self) -> RunOptions:
        """The threads and accelerator for all commands that run the model."""
        accelerator = self.order.policy.accelerator or self.budget.accelerator  # None: the runtime's default
        return RunOptions(threads_on(self.trace.facts, self.profile).used, accelerator)

    def put(self, source: Path | bytes, label: str) -> str:
        """Uploads a source if the board lacks it; returns its sha256."""
        return self.put_all([(source, label)])[0]

    def put_all(self, sources: Sequence[tuple[Path | bytes, str]]) -> list[str]:
        """Uploads those (source, label) pairs that the board lacks; returns the sha256 of each source."""
        return self.counted(lambda: self.session.put_all(sources))

    def counted(self, send: Callable[[], T]) -> T:
        """Calls a function, counts the bytes that it uploads, and returns its result."""
        before = self.session.sent_bytes
        done = send()
        self.trace.sent_bytes += self.session.sent_bytes - before
        return done

    def install(self, runtime: str) -> None:
        """Uploads and installs the artifact; does not touch `current`."""
        manifest = self.artifact.manifest
        self.step("upload", f"{sum(entry.size for entry in manifest.files) / 1024**2:.1f} MiB")
        files: list[tuple[Path | bytes, str]] = [
            *((self.artifact.folder / entry.path, entry.path) for entry in manifest.files),
            *((hook.path, f"hook {kind}") for kind, hook in self.order.hooks.items()),
            (manifest.canonical(), "manifest.json"),
        ]
        *others, document = self.put_all(files)
        hooks = dict(zip(self.order.hooks, others[len(manifest.files) :], strict=True))
        for kind, hook in self.order.hooks.items():
            if hooks[kind] != hook.sha256:
                raise GateRefused(
                    f"{hook.path.name} was changed since the deployment began",
                    hint="deploy again",
                    code=Code.DATA_CHANGED,
                )
        runner = self.counted(lambda: runners.named(self.session, manifest.target))
        self.step("install", self.release)
        command = commands.Install(
            model=self.order.model, version=self.order.version, manifest=document, runtime=runtime,
            hooks=hooks, hook_s=self.order.hook_limit_s, runner=runner, txn=self.transaction.txn,
        )  # fmt: skip
        self.release = self.trace.release = self.session.call(command).release

    def verify(self, *, lenient: bool = False) -> None:
        """Runs the golden check on the board's own runtime.

        If an evaluation set decides next (`lenient`), outputs that are less exact than their precision allows are only noted. If one
        decided when the release was accepted, the board knows that.
        """
        self.judge(self.session.call(self.verification(lenient)))

    def verification(self, lenient: bool) -> commands.Verify:
        """The command of the golden check."""
        manifest, how = self.artifact.manifest, self.options()
        self.step("verify", f"{manifest.goldens.count} goldens")
        # agents without verdicts do not know `lenient` either; a release without a verdict has a tolerance instead
        return commands.Verify(
            model=self.order.model, release=self.release, txn=self.transaction.txn, threads=how.threads,
            accelerator=how.accelerator, lenient=lenient and manifest.schema > 1,
        )  # fmt: skip

    def judge(self, answer: Verdict) -> None:
        """Decides about the answers to the golden inputs; raises GateRefused if they are wrong."""
        manifest = self.artifact.manifest
        self.trace.runtime = answer.runtime
        check = gate.answers(answer, manifest)
        self.trace.checks.append(check)
        placed = gate.placement(answer, self.budget)
        self.trace.checks += [placed] if placed else []
        if not check.ok:
            raise GateRefused(
                gate.refusal([check]), hint=golden_words.hint(answer, manifest, self.trace.facts.arch)
            )
        if self.similarity is not None:
            own = board_answers.compared(self.session, self.similarity, self.artifact, answer.outputs)
            self.trace.checks.append(own)
            if not own.ok:
                raise GateRefused(gate.refusal([own]), hint=golden_words.REFUSED)

    def evaluate(self, name: str = "") -> None:
        """Runs the evaluation set on the board with the candidate and the incumbent, and scores the answers."""
        if self.scoring is None:
            return
        self.step("evaluate", name)
        digest = self.put(self.scoring.inputs, "evaluation set")
        mine = self.answers(self.scoring, self.release, digest)
        incumbent = self.answers_of_the_incumbent(self.scoring, digest)
        self.trace.checks += self.scoring.checks(self.artifact.manifest, mine, incumbent, self.budget)

    def answers_of_the_incumbent(self, scoring: Scoring, digest: str) -> Answers | None:
        """The incumbent's answers; None if there is no incumbent or it cannot run: it must not block its successor."""
        if not self.trace.current:
            return None
        try:
            real = scoring.real()
            if real != scoring.inputs:
                digest = self.put(real, "evaluation set")
            return self.answers(scoring, self.trace.current, digest)
        except BoardError as error:
            self.no_measure(error)
        except DataError as error:  # it runs, but has no such output to compare with
            note = f"accuracy not compared with {self.trace.current}: {error.message}"
            self.trace.checks.append(Check(name="incumbent", ok=True, note=note))
        return None

    def no_measure(self, error: BoardError) -> None:
        """Notes that there is no comparison with the incumbent; re-raises an error that is not the incumbent's own fault."""
        if error.code not in NO_MEASURE:
            raise error
        self.comparable = False
        note = f"not compared with {self.trace.current}: {error.message}"
        self.trace.checks.append(Check(name="incumbent", ok=True, note=note))
        self.progress(ProgressEvent(stage="incumbent", board=self.session.board.name, detail=note))

    def answers(self, scoring: Scoring, release: str, digest: str) -> Answers:
        """A release's answers to the evaluation set on the board."""
        return scoring.answers(self.session, self.order.model, release, digest, self.options())

    def measure(self) -> None:
        """Benchmarks the candidate, interleaved with the incumbent, and checks the budget.

        An invalid measurement is repeated once if the protocol's time limit allows: the disturbance has often passed.
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
            measured = self.benchmark(releases)  # raises again if the candidate is at fault
            self.no_measure(error)
        left = self.order.policy.protocol.limit_s - (time.monotonic() - begun)
        if measured[0].invalid and left > self.order.policy.protocol.limit_s / 2:
            measured = self.benchmark(releases, limit_s=left)
        self.trace.measurement = measured[0]
        self.trace.incumbent = measured[1] if len(measured) > 1 else None
        self.trace.checks += gate.performance(
            measured[0], self.trace.incumbent, self.artifact.manifest.model_bytes, self.budget
        )

    def benchmark(self, releases: list[str], limit_s: float | None = None) -> list[Measurement]:
        """Runs one benchmark of releases of this model."""
        protocol = self.protocol()
        if limit_s is not None:
            protocol = msgspec.structs.replace(protocol, limit_s=limit_s)
        how = self.options()
        self.step("bench", protocol.name)
        return benchmark(
            self.session, self.order.model, releases, protocol, board=self.session.board.name,
            compiled={self.release: compiled(self.artifact)}, simulated=self.trace.facts.simulated, progress=self.progress,
            threads=threads_on(self.trace.facts, self.profile), accelerator=how.accelerator,
        )  # fmt: skip

    def protocol(self) -> Protocol:
        """The measurement protocol, with enough samples to estimate p95 if the budget limits it."""
        chosen = self.order.policy.protocol
        if self.budget.p95_ms is None:
            return chosen
        least = -(-LEAST_SAMPLES[95] // chosen.rounds)
        return msgspec.structs.replace(chosen, min_samples=max(chosen.min_samples, least))

    def activate(self) -> str:
        """Moves `current` to the release on trial, then commits; returns `committed`."""
        self.step("activate", self.release)
        policy = self.order.policy
        command = commands.Activate(
            model=self.order.model, release=self.release, expected_current=self.trace.current or None,
            txn=self.transaction.txn, deadline_s=policy.deadline_s, unguarded=policy.unguarded,
        )  # fmt: skip
        self.transaction.switch(command, self.trace)
        self.trace.current = self.release
        return "committed"

    def discard(self) -> None:
        """Removes a refused release."""
        if self.trace.release and self.trace.release != self.trace.current:
            self.transaction.discard(self.trace.release)
