"""What boards answer, one record a shape. Keys that this version does not know are passed over: a newer agent may say more."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edgewright.nouns.measurement import Environment
from edgewright.nouns.project import Preprocessing
from edgewright.wire.types import Sha256

MAX_RESULT = 1024**3  # bytes of one result that a board may send
MAX_RUNS = 1000  # of one benchmark
MAX_SHAPE = 32  # axes of a tensor
MAX_SIDE = 2**31  # of one axis
Count = Annotated[int, Meta(ge=0)]
Shape = Annotated[tuple[Annotated[int, Meta(ge=0, le=MAX_SIDE)], ...], Meta(max_length=MAX_SHAPE)]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer."""


class Nothing(Record, frozen=True, kw_only=True):
    """`{}`: it is done."""


class Result(Record, frozen=True, kw_only=True):
    """A file under `<root>/results/`, fetched by `get`, gone when the session ends."""

    result: str
    sha256: Sha256
    size: Annotated[int, Meta(ge=0, le=MAX_RESULT, description="bytes")]


class Part(Record, frozen=True, kw_only=True):
    """What is there of a file.

    Attributes:
        offset: bytes that are there. prefix_sha256: of those.
        shared: a runtime on the board was made of this wheel: unpacking it again takes no space.
    """

    complete: bool = False
    offset: Count = 0
    prefix_sha256: str = ""
    shared: bool = False


class Provisioned(Record, frozen=True, kw_only=True):
    """A runtime on the board. `bytes`: unpacked."""

    ref: str
    path: str = ""
    bytes: Count


class Installed(Record, frozen=True, kw_only=True):
    """A release on the board. `existed`: it was there already."""

    release: str
    state: str
    existed: bool = False


class LostSlice(Record, frozen=True, kw_only=True):
    """A slice of an output that does not follow its source."""

    output: Count
    axis: Count
    index: Count


class Figures(Record, frozen=True, kw_only=True):
    """What an output is and what it may be; without limits where not all goldens were compared."""

    sqnr_db: float
    least_sqnr_db: float | None = None
    relative: float
    greatest_relative: float | None = None


class Verdict(Record, frozen=True, kw_only=True):
    """How the goldens were answered; from `lost` to `compared` for a manifest of schema 2.

    Attributes:
        failed: the goldens that are beyond a limit, or take more than their share of one.
        placement: on which accelerator how many layers ran; empty where the runtime does not split models, None where it does and could
            not tell.
        outputs: an `.npz` with `output_<i>`.
        lost: slices beyond their limit, the first 16.
        wrong: outputs with values that are not finite, or not apart where their references are, or with too many unequal ones.
        low: outputs that are beyond `noise` or `error` and nothing else.
        compared: goldens that were compared, where it ended before the last one.
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
    """An input or output of a release's manifest, which another version may have written."""

    name: str = ""
    dtype: str
    shape: Shape
    scale: float | None = None
    zero_point: int | None = None
    tensor: str | None = None


class Evaluated(Record, frozen=True, kw_only=True):
    """The answers to an evaluation set: `n` samples; `outputs` are those of the release's manifest."""

    keep: str
    n: Count
    outputs: tuple[Tensor, ...]
    answers: Result


class BenchRun(Record, frozen=True, kw_only=True):
    """One run, as `edgewright.nouns.measurement.Run`. `samples`: float64 little-endian milliseconds, `count` of them."""

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
    """The runs of a benchmark, and the board before and after it. `stopped`: why it ended early."""

    runs: Annotated[tuple[BenchRun, ...], Meta(max_length=MAX_RUNS)]
    before: Environment = Environment()
    after: Environment = Environment()
    stopped: str = ""


class Inferred(Record, frozen=True, kw_only=True):
    """The outputs for some inputs: an `.npz` with `output_<i>`, and the milliseconds of each sample."""

    outputs: Result
    ms: tuple[float, ...]
    release: str
    runtime: str
    accelerator: str


class Calibrated(Record, frozen=True, kw_only=True):
    """The part of a manifest's calibration that says which values were seen."""

    ranges: tuple[tuple[float, float], ...] | None = ()


class ReleaseManifest(Record, frozen=True, kw_only=True):
    """What a host reads in the manifest of a release; nothing but its schema where that is newer than this edgewright's.

    Agents check no more of a manifest than they need, so what else is in it, or lacks, is no error.
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
    """A release that is on trial. `deadline_s`: seconds left of it; `guard`: what ends it, `from`: what was current before."""

    state: str
    deadline_s: float
    guard: str = ""
    from_: str | None = msgspec.field(name="from", default=None)


class RolledBack(Record, frozen=True, kw_only=True):
    """As `activate` answers, and the release; a dry run has no trial."""

    release: str
    state: str = ""
    deadline_s: float = 0.0
    guard: str = ""
    from_: str | None = msgspec.field(name="from", default=None)


class Outcome(Record, frozen=True, kw_only=True):
    """What became of a transaction: `trial`, `committed`, `reverted` or `unknown`."""

    outcome: str


class StatusRelease(Record, frozen=True, kw_only=True):
    """A release in `status`. `runner`: its sha256, empty where the host has to give one."""

    state: str = ""
    version: str = ""
    artifact: str = ""
    target: str = ""
    precision: str = ""
    runtime: str = ""
    runner: str = ""


class StatusTrial(Record, frozen=True, kw_only=True):
    """The trial of a model in `status`."""

    txn: str = ""
    from_: str | None = msgspec.field(name="from", default=None)
    to: str = ""
    phase: str = ""
    guard: str = ""
    deadline_s: float = 0.0


class Failure(Record, frozen=True, kw_only=True):
    """What failed for good on this board, by content. `hooks`: sha256 by kind, and `hook_s` where a limit was set."""

    release: str = ""
    artifact: str = ""
    runtime: str = ""
    hooks: dict[str, str | float] | None = None  # and `timeout_s`, where it is not the usual one
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
        """What is known of `current`; None where there is none."""
        return self.releases.get(self.current) if self.current else None


class Lease(Record, frozen=True, kw_only=True):
    """Who deploys now, and for how long at least."""

    model: str = ""
    host: str = ""
    left_s: float = 0.0


class Status(Record, frozen=True, kw_only=True):
    """What is on a board. `problem`: empty, `state-lost` or `newer-schema`: then there may be more than it says."""

    models: dict[str, StatusModel]
    lease: Lease | None
    problem: str


class Pruned(Record, frozen=True, kw_only=True):
    """What went, or would go. `in_use`: what no release needs, but another session."""

    removed: tuple[str, ...]
    in_use: tuple[str, ...] = ()
    freed_bytes: int


class Logs(Record, frozen=True, kw_only=True):
    """The last lines of the agent's log."""

    log: Result


class Guard(Record, frozen=True, kw_only=True):
    """What ends a cut-short trial after a reboot: `cron`, `systemd` or `none`. `why`: what does not work there."""

    guard: str = "none"
    tested: bool = False
    why: str = ""


class Purged(Record, frozen=True, kw_only=True):
    """Everything is gone. `left`: why the guard could not be taken away, else empty."""

    left: str = ""


class Event(Record, frozen=True, kw_only=True):
    """What an agent says while it works: `heartbeat`, `progress` (`what`, `done`, `total`), `log` (`text`), or `bytes` (`size`, `sha256`)."""

    event: str
    what: str = ""
    done: int | None = None
    total: int | None = None
    text: str = ""
    detail: str = ""
    size: int = 0
    sha256: str = ""


class About(Record, frozen=True, kw_only=True):
    """What an agent says of an error besides its code and message.

    Attributes:
        cause: a word that tells errors of one code apart.
        group: the shared group that is wrong. usable: the accelerators that there are. left_s: of the lease that is in the way.
        advice: of the runner, which knows its runtime. log: the last words of the runtime.
    """

    cause: str = ""
    group: str = ""
    usable: tuple[str, ...] = ()
    left_s: float | None = None
    advice: str = ""
    log: str = ""


class Recovered(Record, frozen=True, kw_only=True):
    """A trial that the agent reverted at its start."""

    model: str = ""
    txn: str = ""
    from_: str | None = msgspec.field(name="from", default=None)
    to: str = ""
