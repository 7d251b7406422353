"""The commands that an agent takes: arguments, and the record that each is answered with.

The agent's table is `edgewright_agent.session.arguments.COMMANDS`; a test holds the two against each other, name by name.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar, get_args

import msgspec

from edgewright.errors import ProtocolError
from edgewright.nouns.facts import Facts as BoardFacts
from edgewright.wire import answers, types
from edgewright_agent.protocol import MANIFEST_SCHEMA

A = TypeVar("A")
UPDATE = "run this again with --debug for the board's log; if an administrator installed its agent, have this version's installed"


class Command(msgspec.Struct, Generic[A], frozen=True, kw_only=True, omit_defaults=True):
    """A command whose answer is an `A`. An argument that has its default is not sent: an older agent may not know it."""

    do: ClassVar[str]

    def arguments(self) -> dict[str, object]:
        """As the wire has them."""
        found: dict[str, object] = msgspec.to_builtins(self)
        return found

    @classmethod
    def read(cls, given: object) -> A:
        """The answer to it.

        Raises:
            ProtocolError: a key that the host relies on is missing or of another type.
        """
        try:
            found: A = msgspec.convert(given, cls.answer())
        except msgspec.ValidationError as error:
            raise ProtocolError(
                f"the board's answer to {cls.do} is not valid: {error}", hint=UPDATE
            ) from error
        return found

    @classmethod
    def answer(cls) -> type[A]:
        """The record that it is answered with."""
        found: type[A] = get_args(cls.__orig_bases__[0])[0]  # type: ignore[attr-defined]
        return found


class Ping(Command[answers.Nothing], frozen=True, kw_only=True):
    """Says that the host lives."""

    do = "ping"


class Facts(Command[BoardFacts], frozen=True, kw_only=True):
    """Reads the facts of the board (`edgewright.nouns.facts.Facts`)."""

    do = "facts"


class Part(Command[answers.Part], frozen=True, kw_only=True):
    """Asks what is there of a file. While another session sends the same bytes it waits for that; `busy` when they do not grow for 35 s.

    Complete too where an installed release or hook has them (they are copied, and verified on the way), or where an unchanged runtime
    was made of this wheel: then also `shared`.
    """

    do = "part"
    sha256: types.Sha256
    size: types.Size


class Put(Command[answers.Nothing], frozen=True, kw_only=True):
    """Sends a file: exactly `size` - `offset` raw bytes follow. Answered when all of it is there and verified.

    `offset` must be the part's length (0 starts from the beginning). Wrong hash: `hash-mismatch`, and the part is dropped.
    """

    do = "put"
    sha256: types.Sha256
    size: types.Size
    offset: types.Size


class Get(Command[answers.Nothing], frozen=True, kw_only=True):
    """Fetches a result: the event `bytes`, the raw bytes, the answer."""

    do = "get"
    result: types.Line


class Begin(Command[answers.Nothing], frozen=True, kw_only=True):
    """Takes the board's lease; `busy` while that of another transaction lives.

    It lives as long as its session, and `ttl_s` beyond a session that was killed.
    """

    do = "begin"
    model: types.Name
    txn: types.Txn
    host: types.Line
    ttl_s: types.Seconds


class End(Command[answers.Nothing], frozen=True, kw_only=True):
    """Gives the lease back."""

    do = "end"
    txn: types.Txn


class Runner(Command[answers.Nothing], frozen=True, kw_only=True):
    """Keeps a runner that was `put`, unless the greeting named it.

    Releases of the target whose own runner is not on the board (none was recorded, or it is damaged) have this one from now on.
    """

    do = "runner"
    target: types.Name
    sha256: types.Sha256


class Provision(Command[answers.Provisioned], frozen=True, kw_only=True):
    """Unpacks a runtime. Its id is the sha256 of the wheels' sha256s, sorted, one a line.

    `runner` (one that is kept) imports the runtime, so that its bytecode is made; null: no bytecode.
    """

    do = "provision"
    name: types.Name
    target: types.Name
    version: types.Version
    wheels: types.Wheels
    runner: types.Sha256 | None = None


class Install(Command[answers.Installed], frozen=True, kw_only=True):
    """Installs a release; `current` stays. Its files were `put`, and so was `manifest.json`, which `manifest` names by sha256.

    `hooks` are sha256s; each may take `hook_s` (0: 60 s). `runner`: one that is kept; null behind a forced command: the
    administrator's.
    """

    do = "install"
    model: types.Name
    version: types.Name
    manifest: types.Sha256
    runtime: types.Runtime
    hooks: types.Hooks = {}
    hook_s: types.HookSeconds = 0
    runner: types.Sha256 | None = None
    txn: types.Txn


class RunOptions(msgspec.Struct, frozen=True):
    """How a model is run, the same in every command that runs one; None: the board's own choice.

    `accelerator` is one of the runtime's names, null for its first (`cpu`, where it has that), or `auto`: the fastest that it has there,
    which the answer names. Asked for by name, anything else that the model runs on is `accelerator-absent`.
    """

    threads: int | None = None
    accelerator: str | None = None


class Verify(Command[answers.Verdict], frozen=True, kw_only=True):
    """Has the goldens answered and compares; ok: the release is `verified`. See [the verdict](#the-verdict).

    Not ok, or a load failure (`load-failed`): remembered against artifact and runtime, but for outputs that are only `low`.
    """

    do = "verify"
    model: types.Name
    release: types.Release
    txn: types.Txn
    threads: types.Threads | None = None
    accelerator: types.Word | None = None
    lenient: bool = False


class Evaluate(Command[answers.Evaluated], frozen=True, kw_only=True):
    """Has an evaluation set answered (`evaluation`: the sha256 of an `.npz` with `input_<i>`, put already); the host scores the answers.

    `keep`: `top5`: int32 little-endian, five a sample, the indexes of the greatest values of output 0, best first, -1 where there are
    fewer, and everywhere when one is not finite. `first`, `all`: an uncompressed `.npz` with `output_<i>` as the runtime gave them, at
    most 256 MiB.
    """

    do = "evaluate"
    model: types.Name
    release: types.Release
    evaluation: types.Sha256
    keep: types.Word
    threads: types.Threads | None = None
    accelerator: types.Word | None = None


class Bench(Command[answers.Benched], frozen=True, kw_only=True):
    """Measures releases, interleaved."""

    do = "bench"
    model: types.Name
    releases: types.Releases
    protocol: types.Protocol
    threads: types.Threads | None = None
    accelerator: types.Word | None = None


class Infer(Command[answers.Inferred], frozen=True, kw_only=True):
    """Runs the samples of an `.npz` with `input_<i>`, put already, leading axis = samples; `release` null: the current one.

    Real values for an input of integers with a scale are quantised there, as those of goldens are.
    """

    do = "infer"
    model: types.Name
    release: types.Release | None = None
    inputs: types.Sha256 | None
    threads: types.Threads | None = None
    accelerator: types.Word | None = None


class Describe(Command[answers.Described], frozen=True, kw_only=True):
    """`infer` without inputs (null): nothing runs, the answer is the manifest of the release."""

    do = "infer"
    model: types.Name
    release: types.Release | None = None

    def arguments(self) -> dict[str, object]:
        """As the wire has them."""
        return {**Command.arguments(self), "inputs": None}

    @classmethod
    def read(cls, given: object) -> answers.Described:
        """The answer to it; of a manifest of a newer schema its schema alone."""
        manifest = given.get("manifest") if isinstance(given, dict) else None
        schema = manifest.get("schema") if isinstance(manifest, dict) else None
        if isinstance(schema, int) and schema > MANIFEST_SCHEMA:
            return answers.Described(manifest=answers.ReleaseManifest(schema=schema))
        return super().read(given)


class Activate(Command[answers.OnTrial], frozen=True, kw_only=True):
    """Moves `current` on trial, then runs the hooks `activate` and `health`; a failing one reverts and is `hook-failed`.

    Another current than `expected_current` is `conflict`. The trial's deadline is `deadline_s` and, on top of it, what these hooks may
    take. `guard` in the answer: `cron` or `systemd` (watchdog, and a guard after a reboot), `watchdog`, or `none`. A deadline beyond
    600 s without a guard after a reboot is `no-guard` unless `unguarded`.
    """

    do = "activate"
    model: types.Name
    release: types.Release
    expected_current: types.Release | None
    txn: types.Txn
    deadline_s: types.Seconds
    unguarded: bool = False


class Commit(Command[answers.Outcome], frozen=True, kw_only=True):
    """Keeps a release on trial: `committed`, or `reverted` where it comes too late."""

    do = "commit"
    txn: types.Txn


class Revert(Command[answers.Outcome], frozen=True, kw_only=True):
    """Ends a trial: `reverted`, or `committed` where it comes too late."""

    do = "revert"
    txn: types.Txn
    reason: types.Reason = ""


class AskOutcome(Command[answers.Outcome], frozen=True, kw_only=True):
    """Asks what became of a transaction."""

    do = "outcome"
    txn: types.Txn


class Rollback(Command[answers.RolledBack], frozen=True, kw_only=True):
    """Verifies a known-good release and activates it; `to` null: the one before current, else `nothing-to-roll-back`.

    With `dry_run` nothing is done and no lease is needed: the answer is `release` and `from`, or the error that would come before
    the `verify`.
    """

    do = "rollback"
    model: types.Name
    to: types.Wanted | None = None
    txn: types.Txn
    deadline_s: types.Seconds
    unguarded: bool = False
    threads: types.Threads | None = None
    accelerator: types.Word | None = None
    dry_run: bool = False


class Discard(Command[answers.Nothing], frozen=True, kw_only=True):
    """Removes a release; never current, last_good or pinned."""

    do = "discard"
    model: types.Name
    release: types.Release
    txn: types.Txn


class Status(Command[answers.Status], frozen=True, kw_only=True):
    """Reads what is on the board."""

    do = "status"


class Prune(Command[answers.Pruned], frozen=True, kw_only=True):
    """Removes what nothing needs; `keep` known-good releases a model stay. With `dry_run` nothing goes."""

    do = "prune"
    keep: types.Count
    dry_run: bool = False


class Logs(Command[answers.Logs], frozen=True, kw_only=True):
    """Reads the agent's log."""

    do = "logs"
    lines: types.Lines


class Guard(Command[answers.Guard], frozen=True, kw_only=True):
    """Installs what ends a cut-short trial after a reboot, and runs it once to test it; or removes it."""

    do = "guard"
    install: bool


class Purge(Command[answers.Purged], frozen=True, kw_only=True):
    """Removes everything under the root; the agent ends."""

    do = "purge"


class Reset(Command[answers.Nothing], frozen=True, kw_only=True):
    """Accepts a hash-valid `current` as the truth after both state slots were lost."""

    do = "reset"


COMMANDS: tuple[type[Command[Any]], ...] = tuple(Command.__subclasses__())  # `infer` twice
