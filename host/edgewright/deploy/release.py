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
from edgewright.deploy import board_answers, gate, golden_words
from edgewright.deploy.board_record import Trace
from edgewright.deploy.board_scoring import Scoring
from edgewright.deploy.shipment import Shipment
from edgewright.deploy.transaction import Transaction
from edgewright.errors import BoardError, Code, DataError, EdgewrightError, GateRefused
from edgewright.measure.benchmark import benchmark
from edgewright.measure.statistics import LEAST_SAMPLES
from edgewright.nouns.deploy_plan import ReleaseOrder
from edgewright.nouns.measurement import Measurement, Protocol
from edgewright.nouns.outcome import Check
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress, Step
from edgewright.wire import commands
from edgewright.wire.commands import RunOptions
from edgewright_agent.protocol import HOOK_SECONDS

T = TypeVar("T")

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
    """One release on one board, under a transaction: installed, verified, measured, activated. Each step can be repeated.

    Args:
        progress: raises Aborted between two steps once the user stopped it, up to the activation.
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
        self.comparable = True  # the incumbent, if there is one, can be run

    def run(self, runtime: str, evaluation: str, turn: AbstractContextManager[object]) -> str:
        """Deploys; returns `staged` or `committed`.

        Args:
            runtime: the board's name of the runtime. evaluation: the set's name, for a person.
            turn: held while the board is measured.

        Raises:
            GateRefused: discarded on the board, `current` never moved.
            EdgewrightError: the board's or the link's failure.
        """
        try:
            self.install(runtime)
            self.verify(lenient=self.scoring is not None)
            with turn:
                self.evaluate(evaluation)
                if self.scoring is not None:  # without one they pass only as the board accepted them before
                    self.trace.checks += gate.unvouched(self.trace.checks)
                self.pass_gate()  # what gives wrong outputs is not measured
                self.measure()
            self.pass_gate()
            return "staged" if self.order.policy.stage else self.activate()
        except EdgewrightError:
            if not self.trace.activating:
                self.discard()
            raise

    def confirm(self) -> str:
        """Verifies the release when it is `current` already; returns `unchanged`.

        Raises:
            BoardError: it is damaged there, or does not run any more.
            GateRefused: it gives wrong outputs.
        """
        try:
            self.verify()
        except BoardError as error:
            if error.code != Code.RELEASE_DAMAGED:
                raise
            another = "deploy it under another version: --version VERSION"
            hint = error.hint.replace("deploy it again", another) or another
            raise BoardError(error.message, hint=hint, code=error.code) from error
        return "unchanged"

    def pass_gate(self) -> None:
        """Raises GateRefused when a check so far fails."""
        refusal = gate.refusal(self.trace.checks)
        if refusal:
            stays = f"`current` stays {self.trace.current or 'absent'}"
            raise GateRefused(refusal, hint=f"{stays}; see the checks with --json")

    def step(self, what: str, detail: str = "") -> None:
        """Reports what begins now; ends here if the user stopped it."""
        self.trace.steps.append(f"{what} {detail}".strip())
        self.progress(Step(what=what, board=self.session.board.name, detail=detail))

    def options(self) -> RunOptions:
        """Threads and accelerator for every command that runs the model."""
        cpus = self.trace.facts.cpus or self.profile.threads
        accelerator = self.order.policy.accelerator or self.budget.accelerator  # None: the runtime's first
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

    def install(self, runtime: str) -> None:
        """Uploads the artifact and installs it; `current` untouched."""
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
        # named only where it is another one: an agent that an administrator installed may not know the argument
        limit = 0.0 if self.order.hook_s == HOOK_SECONDS else self.order.hook_s
        runner = self.counted(lambda: runners.named(self.session, manifest.target))
        self.step("install", self.release)
        command = commands.Install(
            model=self.order.model, version=self.order.version, manifest=document, runtime=runtime,
            hooks=hooks, hook_s=limit, runner=runner, txn=self.transaction.txn,
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
            model=self.order.model, release=self.release, txn=self.transaction.txn, threads=how.threads,
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

    def evaluate(self, name: str = "") -> None:
        """Has the evaluation set answered on the board, by the candidate and the incumbent, and scores the answers."""
        if self.scoring is None:
            return
        self.step("evaluate", name)
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
        self.progress(Step(what="incumbent", board=self.session.board.name, detail=note))

    def answers(self, scoring: Scoring, release: str, digest: str) -> Answers:
        """One release's answers to the evaluation set, on the board."""
        return scoring.answers(self.session, self.order.model, release, digest, self.options())

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
        left = self.order.policy.protocol.limit_s - (time.monotonic() - begun)
        if measured[0].invalid and left > self.order.policy.protocol.limit_s / 2:
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
            self.session, self.order.model, releases, protocol, board=self.session.board.name,
            artifacts={self.release: self.artifact.id}, simulated=self.trace.facts.simulated, progress=self.progress,
            threads=how.threads or 1, accelerator=how.accelerator,
        )  # fmt: skip

    def protocol(self) -> Protocol:
        """The protocol; a budget on p95 needs the samples to state one."""
        chosen = self.order.policy.protocol
        if self.budget.p95_ms is None:
            return chosen
        least = -(-LEAST_SAMPLES[95] // chosen.rounds)
        return msgspec.structs.replace(chosen, min_samples=max(chosen.min_samples, least))

    def activate(self) -> str:
        """Moves `current` on trial, then commits; returns `committed`."""
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
