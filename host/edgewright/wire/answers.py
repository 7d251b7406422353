"""The answers of boards, one record per shape. Unknown keys are ignored: a newer agent may send more."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgewright.nouns.measurement import Environment
from edgewright.nouns.project import Preprocessing
from edgewright.wire.types import Sha256

MAX_RUNS = 1000  # in one benchmark
MAX_SHAPE = 32  # axes of a tensor
MAX_SIDE = 2**31  # length of one axis
Count = Annotated[int, Meta(ge=0)]
Shape = Annotated[tuple[Annotated[int, Meta(ge=0, le=MAX_SIDE)], ...], Meta(max_length=MAX_SHAPE)]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer."""


class Nothing(Record, frozen=True, kw_only=True):
    """`{}`: done."""


class Result(Record, frozen=True, kw_only=True):
    """A file under `<root>/results/`, fetched by `get` and removed when the session ends. Whoever fetches it knows how large it may be."""

    result: str
    sha256: Sha256
    size: Annotated[int, Meta(ge=0, description="bytes")]


class Part(Record, frozen=True, kw_only=True):
    """What the board has of a file.

    Attributes:
        offset: number of bytes that it has.
        prefix_sha256: sha256 of those bytes.
        shared: a runtime on the board was made from this wheel: unpacking it again takes no space.
    """

    complete: bool = False
    offset: Count = 0
    prefix_sha256: str = ""
    shared: bool = False


class Provisioned(Record, frozen=True, kw_only=True):
    """A runtime on the board. `bytes`: its unpacked size."""

    ref: str
    path: str = ""
    bytes: Count


class Installed(Record, frozen=True, kw_only=True):
    """A release on the board. `existed`: it was already there."""

    release: str
    state: str
    existed: bool = False


class LostSlice(Record, frozen=True, kw_only=True):
    """A slice of an output that does not follow its source."""

    output: Count
    axis: Count
    index: Count


class Figures(Record, frozen=True, kw_only=True):
    """The figures of an output and their limits; no limits if not all goldens were compared."""

    sqnr_db: float
    least_sqnr_db: float | None = None
    relative: float
    greatest_relative: float | None = None


class Verdict(Record, frozen=True, kw_only=True):
    """The result of running the goldens; from `lost` to `compared` for a manifest of schema 2.

    Attributes:
        failed: the goldens that exceed a limit, or take more than their share of one.
        placement: how many layers ran on which accelerator; empty if the runtime does not split models, None if it does but could
            not report it.
        outputs: an `.npz` with `output_<i>`.
        lost: slices beyond their limit, the first 16.
        wrong: outputs with values that are not finite, or not apart where their references are, or with too many unequal ones.
        low: outputs that only exceed `noise` or `error`.
        compared: number of goldens that were compared, if it ended before the last one.
    """

    ok: bool
    goldens: Count
    sqnr_db: float
    relative: float
    failed: tuple[Count, ...]
    runtime: str
    accelerator: str
    placement: dict[str, Count] | None = {}
    outputs: Result
    lost: tuple[LostSlice, ...] = ()
    wrong: tuple[Count, ...] = ()
    low: tuple[Count, ...] = ()
    by_output: tuple[Figures, ...] = ()
    compared: Count | None = None


class Tensor(Record, frozen=True, kw_only=True):
    """An input or output in a release's manifest, which another version may have written."""

    name: str = ""
    dtype: str
    shape: Shape
    scale: float | None = None
    zero_point: int | None = None
    tensor: str | None = None


class Evaluated(Record, frozen=True, kw_only=True):
    """The outputs for an evaluation set of `n` samples; `outputs` describes them as in the release's manifest."""

    keep: str
    n: Count
    outputs: tuple[Tensor, ...]
    answers: Result


class BenchRun(Record, frozen=True, kw_only=True):
    """One run, as in `edgewright.nouns.measurement.Run`. `samples`: float64 little-endian milliseconds, `count` of them."""

    release: str
    round: Count
    import_ms: float
    load_ms: float
    first_ms: float
    samples: Result
    count: Count = 0
    baseline_kb: int
    peak_kb: int
    memory_method: str
    accelerator: str = "cpu"
    runtime: str = ""
    threads: Count = 0


class Benched(Record, frozen=True, kw_only=True):
    """The runs of a benchmark, and the board's state before and after it. `stopped`: why it ended early."""

    runs: Annotated[tuple[BenchRun, ...], Meta(max_length=MAX_RUNS)]
    before: Environment = Environment()
    after: Environment = Environment()
    stopped: str = ""


class Inferred(Record, frozen=True, kw_only=True):
    """The outputs for given inputs: an `.npz` with `output_<i>`, and the milliseconds of each sample."""

    outputs: Result
    ms: tuple[float, ...]
    release: str
    runtime: str
    accelerator: str


class Calibrated(Record, frozen=True, kw_only=True):
    """The part of a manifest's calibration that gives the ranges of values."""

    ranges: tuple[tuple[float, float], ...] | None = ()


class ReleaseManifest(Record, frozen=True, kw_only=True):
    """The parts of a release's manifest that a host reads; only its schema if that is newer than this edgewright's.

    Agents check no more of a manifest than they need, so unknown or missing keys are not errors.
    """

    schema: int
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    precision: str | None = ""
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] | None = ()
    calibration: Calibrated | None = Calibrated()


class Described(Record, frozen=True, kw_only=True):
    """The manifest of a release."""

    manifest: ReleaseManifest


class OnTrial(Record, frozen=True, kw_only=True):
    """A release that is on trial. `deadline_s`: seconds left; `guard`: what ends it; `from`: what was current before."""

    state: str
    deadline_s: float
    guard: str = ""
    from_: str | None = msgspec.field(name="from", default=None)


class RolledBack(Record, frozen=True, kw_only=True):
    """The answer of `activate`, and the release; a dry run has no trial."""

    release: str
    state: str = ""
    deadline_s: float = 0.0
    guard: str = ""
    from_: str | None = msgspec.field(name="from", default=None)


class Outcome(Record, frozen=True, kw_only=True):
    """The state of a transaction: `trial`, `committed`, `reverted` or `unknown`."""

    outcome: str


class StatusRelease(Record, frozen=True, kw_only=True):
    """A release in `status`. `runner`: its sha256, empty if the host has to send one. `hooks`: sha256 by kind; `hook_s`: their limit, 0 for
    the default; both are null from older agents."""

    state: str = ""
    version: str = ""
    artifact: str = ""
    target: str = ""
    precision: str = ""
    runtime: str = ""
    runner: str = ""
    hooks: dict[str, str] | None = None
    hook_s: float | None = None


class StatusTrial(Record, frozen=True, kw_only=True):
    """The trial of a model in `status`."""

    txn: str = ""
    from_: str | None = msgspec.field(name="from", default=None)
    to: str = ""
    phase: str = ""
    guard: str = ""
    deadline_s: float = 0.0


class Failure(Record, frozen=True, kw_only=True):
    """What failed permanently on this board, by content. `hooks`: sha256 by kind, and `hook_s` if a limit was set."""

    release: str = ""
    artifact: str = ""
    runtime: str = ""
    hooks: dict[str, str | float] | None = None
    runner: str | None = None
    code: str = ""
    why: str = ""


class StatusModel(Record, frozen=True, kw_only=True):
    """A model in `status`."""

    current: str | None = None
    last_good: str | None = None
    known_good: tuple[str, ...] = ()
    trial: StatusTrial | None = None
    releases: dict[str, StatusRelease] = {}
    failed: tuple[Failure, ...] = ()

    @property
    def current_release(self) -> StatusRelease | None:
        """The record of `current`; None if there is none."""
        return self.releases.get(self.current) if self.current else None


class Lease(Record, frozen=True, kw_only=True):
    """Who is deploying now, and for how long at least."""

    model: str = ""
    host: str = ""
    left_s: float = 0.0


class About(Record, frozen=True, kw_only=True):
    """An agent's details about an error, besides code and message.

    Attributes:
        cause: a word that distinguishes errors with the same code.
        group: the shared group that is wrong.
        usable: the accelerators that exist.
        left_s: seconds left of the lease that is in the way.
        advice: from the runner, which knows its runtime.
        log: the last output of the runtime.
        path: the file or folder that is in the way, absolute.
        login: the user that the agent runs as.
        target: the one whose runtime is damaged or missing.
    """

    cause: str = ""
    group: str = ""
    usable: tuple[str, ...] = ()
    left_s: float | None = None
    advice: str = ""
    log: str = ""
    path: str = ""
    login: str = ""
    target: str = ""


class Damage(Record, frozen=True, kw_only=True):
    """What is wrong on a board's disk, as an error. `model` and `release` are empty where it concerns no single one."""

    model: str = ""
    release: str = ""
    code: str = ""
    message: str = ""
    about: About = About()


class Status(Record, frozen=True, kw_only=True):
    """What is on a board.

    Attributes:
        problem: empty, `state-lost` or `newer-schema`; if set, there may be more than is listed.
        damage: what recovery could not put right, and releases whose files are gone or changed.
    """

    models: dict[str, StatusModel]
    lease: Lease | None
    problem: str
    damage: tuple[Damage, ...] = ()


class Pruned(Record, frozen=True, kw_only=True):
    """What was removed, or would be. `in_use`: what no release needs, but another session uses."""

    removed: tuple[str, ...]
    in_use: tuple[str, ...] = ()
    freed_bytes: int


class Repaired(Record, frozen=True, kw_only=True):
    """What was put right, or would be. `left`: what the board cannot do by itself."""

    done: tuple[str, ...] = ()
    left: tuple[Damage, ...] = ()


class WasReset(Record, frozen=True, kw_only=True):
    """`left`: damaged releases, which were not accepted and moved to `aside/`."""

    left: tuple[Damage, ...] = ()


class Logs(Record, frozen=True, kw_only=True):
    """The last lines of the agent's log."""

    log: Result


class Guard(Record, frozen=True, kw_only=True):
    """What ends an interrupted trial after a reboot: `cron`, `systemd` or `none`. `why`: what does not work there."""

    guard: str = "none"
    tested: bool = False
    why: str = ""


class Purged(Record, frozen=True, kw_only=True):
    """Everything was removed. `left`: why the guard could not be removed, else empty."""

    left: str = ""


class Event(Record, frozen=True, kw_only=True):
    """A message of an agent while it works: `heartbeat`, `progress` (`what`, `done`, `total`), `log` (`text`), or `bytes` (`size`, `sha256`)."""

    event: str
    what: str = ""
    done: int | None = None
    total: int | None = None
    text: str = ""
    detail: str = ""
    size: int = 0
    sha256: str = ""


class Recovered(Record, frozen=True, kw_only=True):
    """A trial that the agent reverted when it started."""

    model: str = ""
    txn: str = ""
    from_: str | None = msgspec.field(name="from", default=None)
    to: str = ""
