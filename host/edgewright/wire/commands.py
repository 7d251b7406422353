"""The commands of an agent: their arguments, and the record of each answer.

The agent's table is `edgewright_agent.session.arguments.COMMANDS`; a test compares the two, name by name.
"""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar, get_args

import msgspec

from edgewright.errors import ProtocolError
from edgewright.nouns.facts import Facts as BoardFacts
from edgewright.wire import answers, types
from edgewright_agent.protocol import MANIFEST_SCHEMA

A = TypeVar("A")
SOON = 60.0  # seconds, for what a board answers from memory or by one small write
READ = 600.0  # for what reads or removes files of any number
LONG = 3600.0  # for what runs a model, a runtime or a hook
UPDATE = "run this again with --debug for the board's log; if an administrator installed its agent, have this version's installed"


class Command(msgspec.Struct, Generic[A], frozen=True, kw_only=True, omit_defaults=True):
    """A command whose answer is an `A`. Arguments with their default value are not sent: an older agent may not know them.

    `limit_s`: seconds from the request to its answer, whatever the board says meanwhile; a caller may know a better limit.
    """

    do: ClassVar[str]
    limit_s: ClassVar[float] = SOON

    def arguments(self) -> dict[str, object]:
        """The arguments in the form of the wire."""
        found: dict[str, object] = msgspec.to_builtins(self)
        return found

    @classmethod
    def read(cls, given: object) -> A:
        """Converts the answer.

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
        """The type of the answer."""
        found: type[A] = get_args(cls.__orig_bases__[0])[0]  # type: ignore[attr-defined]
        return found


class Ping(Command[answers.Nothing], frozen=True, kw_only=True):
    """Shows that the host is alive."""

    do = "ping"


class Facts(Command[BoardFacts], frozen=True, kw_only=True):
    """Reads the facts of the board (`edgewright.nouns.facts.Facts`)."""

    do = "facts"
    limit_s = 120.0


class Part(Command[answers.Part], frozen=True, kw_only=True):
    """Asks what the board has of a file. While another session sends the same bytes it waits for that; `busy` if they do not grow for 35 s.

    Also complete if an installed release or hook has the bytes (they are copied, and verified on the way), or if an unchanged runtime
    was made from this wheel: then also `shared`.
    """

    do = "part"
    limit_s = READ
    sha256: types.Sha256
    size: types.Size


class Put(Command[answers.Nothing], frozen=True, kw_only=True):
    """Sends a file: exactly `size` - `offset` raw bytes follow. Answered once the whole file has arrived and is verified.

    `offset` must be the part's length (0 starts from the beginning). On a wrong hash, the error is `hash-mismatch` and the part is
    dropped.
    """

    do = "put"
    limit_s = READ
    sha256: types.Sha256
    size: types.Size
    offset: types.Size


class Get(Command[answers.Nothing], frozen=True, kw_only=True):
    """Fetches a result: the event `bytes`, the raw bytes, then the answer."""

    do = "get"
    limit_s = READ
    result: types.Line


class Begin(Command[answers.Nothing], frozen=True, kw_only=True):
    """Takes the board's lease; `busy` while another transaction holds it.

    The lease lives as long as its session, and for `ttl_s` after a session that was killed.
    """

    do = "begin"
    model: types.Name
    txn: types.Txn
    host: types.Line
    ttl_s: types.Seconds


class End(Command[answers.Nothing], frozen=True, kw_only=True):
    """Releases the lease."""

    do = "end"
    txn: types.Txn


class Runner(Command[answers.Nothing], frozen=True, kw_only=True):
    """Keeps a runner that was `put`, unless the greeting listed it.

    Releases of the target whose own runner is missing on the board (never recorded, or damaged) use this one from now on.
    """

    do = "runner"
    target: types.Name
    sha256: types.Sha256


class Provision(Command[answers.Provisioned], frozen=True, kw_only=True):
    """Unpacks a runtime. Its id is the sha256 of the wheels' sha256s, sorted, one per line.

    `runner` (one that is kept) imports the runtime to generate its bytecode; null: no bytecode.
    """

    do = "provision"
    limit_s = LONG
    name: types.Name
    target: types.Name
    version: types.Version
    wheels: types.Wheels
    runner: types.Sha256 | None = None


class Install(Command[answers.Installed], frozen=True, kw_only=True):
    """Installs a release without changing `current`. Its files must have been `put`, and so must `manifest.json`, which `manifest`
    identifies by sha256.

    `hooks` are sha256s; `hook_s` is the time limit of each (0: 60 s). `runner`: one that is kept; null behind a forced command,
    which uses the administrator's.
    """

    do = "install"
    limit_s = LONG
    model: types.Name
    version: types.Name
    manifest: types.Sha256
    runtime: types.Runtime
    hooks: types.Hooks = {}
    hook_s: types.HookSeconds = 0
    runner: types.Sha256 | None = None
    txn: types.Txn


class RunOptions(msgspec.Struct, frozen=True):
    """How to run a model, the same in every command that runs one; None leaves it to the board.

    `accelerator` is one of the runtime's names, null for its first one (`cpu`, if it has that), or `auto` for the fastest one there,
    which the answer names. If one is requested by name and the model runs on anything else, the error is `accelerator-absent`.
    """

    threads: int | None = None
    accelerator: str | None = None


class Verify(Command[answers.Verdict], frozen=True, kw_only=True):
    """Runs the goldens and compares the outputs; if ok, the release is `verified`. See [the verdict](#the-verdict).

    Results that are not ok, and load failures (`load-failed`), are remembered for artifact and runtime, except for outputs that are only `low`.
    """

    do = "verify"
    limit_s = LONG
    model: types.Name
    release: types.Release
    txn: types.Txn
    threads: types.Threads | None = None
    accelerator: types.Word | None = None
    lenient: bool = False


class Evaluate(Command[answers.Evaluated], frozen=True, kw_only=True):
    """Runs an evaluation set (`evaluation`: the sha256 of an `.npz` with `input_<i>` that was put); the host scores the outputs.

    `keep`: `top5` gives little-endian int32 values, five per sample: the indexes of the greatest values of output 0, best first, -1 if
    there are fewer; all -1 if any value is not finite. `first`, `all` give an uncompressed `.npz` with `output_<i>` as the runtime
    returned them, at most 256 MiB.
    """

    do = "evaluate"
    limit_s = LONG
    model: types.Name
    release: types.Release
    evaluation: types.Sha256
    keep: types.Word
    threads: types.Threads | None = None
    accelerator: types.Word | None = None


class Bench(Command[answers.Benched], frozen=True, kw_only=True):
    """Measures releases, interleaved."""

    do = "bench"
    limit_s = LONG
    model: types.Name
    releases: types.Releases
    protocol: types.Protocol
    threads: types.Threads | None = None
    accelerator: types.Word | None = None


class Infer(Command[answers.Inferred], frozen=True, kw_only=True):
    """Runs the samples of an `.npz` with `input_<i>` that was put, leading axis = samples; `release` null: the current one.

    Real values for a quantised integer input are quantised on the board, as goldens are.
    """

    do = "infer"
    limit_s = LONG
    model: types.Name
    release: types.Release | None = None
    inputs: types.Sha256 | None
    threads: types.Threads | None = None
    accelerator: types.Word | None = None


class Describe(Command[answers.Described], frozen=True, kw_only=True):
    """`infer` without inputs (null): runs nothing and answers with the release's manifest."""

    do = "infer"
    model: types.Name
    release: types.Release | None = None

    def arguments(self) -> dict[str, object]:
        """The arguments in the form of the wire."""
        return {**Command.arguments(self), "inputs": None}

    @classmethod
    def read(cls, given: object) -> answers.Described:
        """Converts the answer; only the schema of a manifest with a newer schema."""
        manifest = given.get("manifest") if isinstance(given, dict) else None
        schema = manifest.get("schema") if isinstance(manifest, dict) else None
        if isinstance(schema, int) and schema > MANIFEST_SCHEMA:
            return answers.Described(manifest=answers.ReleaseManifest(schema=schema))
        return super().read(given)


class Activate(Command[answers.OnTrial], frozen=True, kw_only=True):
    """Moves `current` on trial, then runs the hooks `activate` and `health`; a failing one reverts and is `hook-failed`.

    If current is not `expected_current`, the error is `conflict`. The trial's deadline is `deadline_s` plus the time limits of these
    hooks. `guard` in the answer: `cron` or `systemd` (watchdog, and a guard after a reboot), `watchdog`, or `none`. A deadline beyond
    600 s without a guard after a reboot is `no-guard` unless `unguarded`.
    """

    do = "activate"
    limit_s = LONG
    model: types.Name
    release: types.Release
    expected_current: types.Release | None
    txn: types.Txn
    deadline_s: types.Seconds
    unguarded: bool = False


class Commit(Command[answers.Outcome], frozen=True, kw_only=True):
    """Keeps a release on trial: `committed`, or `reverted` if it is too late."""

    do = "commit"
    limit_s = 120.0
    txn: types.Txn


class Revert(Command[answers.Outcome], frozen=True, kw_only=True):
    """Ends a trial: `reverted`, or `committed` if it is too late."""

    do = "revert"
    limit_s = LONG
    txn: types.Txn
    reason: types.Reason = ""


class AskOutcome(Command[answers.Outcome], frozen=True, kw_only=True):
    """Asks for the state of a transaction."""

    do = "outcome"
    txn: types.Txn


class Rollback(Command[answers.RolledBack], frozen=True, kw_only=True):
    """Verifies a known-good release and activates it; `to` null: the one before current (`nothing-to-roll-back` if there is none).

    `dry_run` does nothing and needs no lease: it answers `release` and `from`, or the error that would occur before
    the `verify`.
    """

    do = "rollback"
    limit_s = LONG
    model: types.Name
    to: types.Wanted | None = None
    txn: types.Txn
    deadline_s: types.Seconds
    unguarded: bool = False
    threads: types.Threads | None = None
    accelerator: types.Word | None = None
    dry_run: bool = False


class Discard(Command[answers.Nothing], frozen=True, kw_only=True):
    """Removes a release that is not current, last_good or pinned."""

    do = "discard"
    limit_s = READ
    model: types.Name
    release: types.Release
    txn: types.Txn


class Status(Command[answers.Status], frozen=True, kw_only=True):
    """Reads what is on the board; with `files` also whether the files of its releases are there and have their sizes, with `verify` whether they
    have their hashes: hosts wait 600 s for that."""

    do = "status"
    limit_s = 30.0
    verify: bool = False
    files: bool = False


class Prune(Command[answers.Pruned], frozen=True, kw_only=True):
    """Removes what nothing needs; keeps `keep` known-good releases per model. `dry_run` removes nothing."""

    do = "prune"
    limit_s = READ
    keep: types.Count
    dry_run: bool = False


class Logs(Command[answers.Logs], frozen=True, kw_only=True):
    """Reads the agent's log."""

    do = "logs"
    lines: types.Lines


class Guard(Command[answers.Guard], frozen=True, kw_only=True):
    """Installs what ends an interrupted trial after a reboot, and runs it once to test it; or removes it."""

    do = "guard"
    limit_s = 120.0
    install: bool


class Purge(Command[answers.Purged], frozen=True, kw_only=True):
    """Removes everything under the root; the agent ends."""

    do = "purge"
    limit_s = READ


class Reset(Command[answers.WasReset], frozen=True, kw_only=True):
    """Accepts a hash-valid `current` as the truth after both state slots were lost. Other hash-valid releases stay, as `staged`; damaged
    ones are moved to `aside/`. If a file may not be read, nothing is changed."""

    do = "reset"
    limit_s = READ


class Repair(Command[answers.Repaired], frozen=True, kw_only=True):
    """Puts right what it can: links, modes, owners that it may change, a damaged state slot; what is no file or folder of the agent's
    is moved to `aside/`. With `dry_run` nothing changes."""

    do = "repair"
    dry_run: bool = False


COMMANDS: tuple[type[Command[Any]], ...] = tuple(Command.__subclasses__())  # `infer` twice
