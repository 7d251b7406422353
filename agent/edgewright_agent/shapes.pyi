"""The types that quoted annotations of the agent and of runners name. Nothing of it is there at run time."""

import ctypes
import hashlib
import subprocess
from collections.abc import Callable, Mapping
from collections.abc import Iterable as Iterable
from collections.abc import Iterator as Iterator
from collections.abc import Sequence as Sequence
from types import ModuleType
from typing import IO, Any, NotRequired, Protocol, TypeAlias, TypedDict, TypeGuard, TypeVar

from typing_extensions import ReadOnly

from edgewright_agent.agent import Agent as Agent
from edgewright_agent.answers import Difference as Difference
from edgewright_agent.answers import Outputs, Ranks
from edgewright_agent.child import Stage as Stage
from edgewright_agent.children import Scratch as Scratch
from edgewright_agent.files import Files as Files
from edgewright_agent.incoming import Incoming as Incoming
from edgewright_agent.integrity import Integrity as Integrity
from edgewright_agent.prepared import Prepared as Prepared
from edgewright_agent.protocol import AgentError as AgentError
from edgewright_agent.releases import Releases as Releases
from edgewright_agent.results import SessionFiles as SessionFiles
from edgewright_agent.runners import Runners as Runners
from edgewright_agent.runtimes import Runtimes as Runtimes
from edgewright_agent.state import Store as Store
from edgewright_agent.trial import Trials as Trials
from edgewright_agent.uses import Uses as Uses

# Functions and standard types
Number = TypeVar("Number", int, float)
Unchecked: TypeAlias = Any  # from JSON, or imported by name: nothing has checked what it is
Record: TypeAlias = Mapping[str, object]  # what is read here without its types, or written out
Result: TypeAlias = dict[str, object]  # of a command, or a part of one, on its way to the host
Arguments: TypeAlias = dict[str, Unchecked]  # of a command: `arguments.check` knows their types
Found: TypeAlias = Mapping[str, Unchecked]  # a command's arguments and its result together, for the log
Say: TypeAlias = Callable[[Result], object]  # takes an event
Describe: TypeAlias = Callable[[Arguments], str]
Write: TypeAlias = Callable[[bytes], object]
Check: TypeAlias = Callable[[Unchecked], bool]
Rule: TypeAlias = Check | tuple[Check, object]  # of an argument; with its default, where it may be left out
IsWhole: TypeAlias = TypeGuard[int]
IsNumber: TypeAlias = TypeGuard[float]
Process: TypeAlias = subprocess.Popen[bytes]
Pipe: TypeAlias = int | IO[bytes] | None
Numbers: TypeAlias = Sequence[float]
Stream: TypeAlias = IO[bytes]
FileRow: TypeAlias = tuple[str, int]  # sha256, size; a list of both in JSON
Callback: TypeAlias = Callable[[], object]
Fill: TypeAlias = Callable[[Write], object]
Edit: TypeAlias = Callable[[str], str]
Hash: TypeAlias = hashlib._Hash
Module: TypeAlias = ModuleType
Sizes: TypeAlias = Sequence[int]
Mount: TypeAlias = tuple[str, list[str], str, list[str]]  # point, options, file system, the source's options
Zone: TypeAlias = tuple[str, float]  # type of a thermal zone, degrees Celsius
Clock: TypeAlias = tuple[int, int, float]  # ticks: busy, all, of this process

# Processes
class AgentFile(TypedDict):
    sha256: str
    size: int

class Hello(TypedDict):
    edgewright: NotRequired[int]
    nonce: NotRequired[str]
    loader: NotRequired[str]
    entry: NotRequired[str]
    root: str
    agent: AgentFile
    group: NotRequired[str | None]
    ping_s: NotRequired[float]
    runtimes: NotRequired[list[str]]
    txn: NotRequired[str]

class Deadline(TypedDict):
    boot_id: str
    at: float

class Stamp(TypedDict, total=False):
    """When a guard ran to its end."""

    boot_id: str
    at: float

class Owner(TypedDict):
    pid: int
    started: int | None
    boot_id: str

class Watchdog(Owner):
    schema: NotRequired[int]

# The state
class Lease(TypedDict):
    txn: str
    model: str
    host: str
    ttl_s: float
    deadline: Deadline

Trial = TypedDict(
    "Trial",
    {
        "txn": str,
        "from": str | None,
        "to": str,
        "deadline": Deadline,
        "phase": str,
        "watchdog": Watchdog | None,
        "guard": str,
    },
)

class Parts(TypedDict):
    version: str
    artifact: str
    runtime: str
    hooks: dict[str, str]
    hook_s: float

class Release(TypedDict):
    version: str
    artifact: str
    runtime: str
    hooks: dict[str, str]
    hook_s: NotRequired[float]
    runner: NotRequired[str | None]
    target: str
    precision: str
    state: str
    txn: str
    low: NotRequired[tuple[str, list[Figures]] | None]
    accepted: NotRequired[list[Figures] | None]

class Failure(TypedDict):
    release: str
    artifact: str
    runtime: str
    hooks: Record | None
    runner: NotRequired[str | None]
    code: str
    why: str

class Model(TypedDict):
    current: str | None
    last_good: str | None
    known_good: list[str]
    trial: Trial | None
    releases: dict[str, Release]
    failed: list[Failure]
    evaluation: NotRequired[str]

class PendingHook(TypedDict):
    id: str
    kind: str
    model: str
    release: str
    sha256: str
    hook_s: NotRequired[float]
    owner: Owner | None

class Quiesced(TypedDict):
    model: str
    release: str
    owner: Owner

class State(TypedDict):
    schema: int
    sequence: int
    lease: Lease | None
    models: dict[str, Model]
    outcomes: list[tuple[str, str]]
    pending: list[PendingHook]
    quiesced: list[Quiesced]

# Manifests
class FileEntry(TypedDict):
    path: str
    sha256: str
    size: int

class Spec(TypedDict):
    name: str
    tensor: NotRequired[str]
    dtype: str
    shape: list[int]
    scale: NotRequired[float | None]
    zero_point: NotRequired[int | None]

class Tolerance(TypedDict):
    sqnr_db: float
    relative: float

class Goldens(TypedDict):
    file: str
    count: int
    tolerance: Tolerance

class SliceLimits(TypedDict):
    axis: int
    noise: list[float | None]

class Limits(TypedDict):
    noise: float | None
    error: float | None
    unequal: int | None
    apart: float | None
    slices: list[SliceLimits]

class OutputVerdict(TypedDict):
    limits: Limits

class Manifest(TypedDict):
    schema: int
    target: str
    precision: str
    entry: str
    files: list[FileEntry]
    inputs: list[Spec]
    outputs: list[Spec]
    goldens: Goldens
    verdict: list[OutputVerdict]

# Runtimes
class Wheel(TypedDict):
    file: str
    sha256: str
    size: int

class Origin(TypedDict):
    size: int
    files: list[str]

class RuntimeAbout(TypedDict):
    schema: int
    ref: str
    name: str
    target: str
    version: str
    files: dict[str, FileRow]
    wheels: dict[str, Origin]
    bytes: int

class RuntimeFact(TypedDict):
    ref: str
    name: str
    target: str
    version: str
    system: bool

class Runtime(RuntimeFact):
    path: str | None

class ImportPlace(TypedDict):
    path: NotRequired[ReadOnly[str | None]]

Donor: TypeAlias = tuple[
    str, list[tuple[str, str, int]]
]  # a runtime's folder; path, sha256 and size of its files
WheelSource: TypeAlias = tuple[Wheel, str | Donor]  # a wheel, and its upload or a runtime with its files

# Jobs of a child
class Options(TypedDict, total=False):
    threads: int | None
    accelerator: str | None
    prepared: str | None
    trace: str
    exact: bool

class Errand(TypedDict):
    """What starts a child and tells it which files are meant."""

    folder: str
    manifest: ReadOnly[Record]
    target: str
    runner: dict[str, str]
    runtime: ReadOnly[ImportPlace]
    options: ReadOnly[Record]
    root: str
    agent_sha: str

class Job(Errand):
    model: str
    release: str
    manifest: Manifest
    runtime: Runtime
    options: Options

class BenchProtocol(TypedDict):
    rounds: int
    warmup_s: float
    steady_s: float
    min_samples: int
    limit_s: float

class RunProtocol(BenchProtocol):
    inference_s: float
    ends_at: float

class Task(TypedDict):
    """A job as its child reads it; those of `do` have what they need."""

    do: str
    folder: str
    manifest: Manifest
    target: str
    runner: dict[str, str]
    options: Options
    paths: list[str]
    path: str
    out: str
    keep: str
    trace: NotRequired[str]
    protocol: RunProtocol
    made_of: list[str]
    have: list[str]
    room: int

class PrepareAnswer(TypedDict):
    key: str | None
    made: bool
    environment: Record
    accelerator: str

class Inferred(TypedDict):
    ms: list[float]
    accelerator: str
    count: int
    placement: dict[str, int] | None
    runtime: str

class Evaluated(TypedDict):
    n: int
    accelerator: str
    runtime: str

class Measured(TypedDict):
    load_ms: float
    first_ms: float
    import_ms: float
    count: int
    cut: bool
    inference_s: float
    baseline_kb: int
    peak_kb: int
    memory_method: str
    accelerator: str
    threads: int
    samples: NotRequired[Kept]
    runtime: str

class PreparedAbout(TypedDict):
    schema: int
    sequence: int
    artifact: str
    runtime: str
    environment: Record
    accelerator: str
    files: dict[str, FileRow]

# Answers
class Kept(TypedDict):
    """A file for the host to `get`."""

    result: str
    sha256: str
    size: int

class Figures(TypedDict):
    sqnr_db: float
    relative: float
    least_sqnr_db: NotRequired[float]
    greatest_relative: NotRequired[float]

class Slice(TypedDict):
    axis: int
    index: int

class LostSlice(Slice):
    output: int

class Verdict(TypedDict):
    ok: bool
    failed: list[int]
    sqnr_db: float
    relative: float
    lost: NotRequired[list[LostSlice]]
    wrong: NotRequired[list[int]]
    low: NotRequired[list[int]]
    by_output: NotRequired[list[Figures]]
    compared: NotRequired[int]
    goldens: NotRequired[int]
    runtime: NotRequired[str]
    accelerator: NotRequired[str]
    placement: NotRequired[dict[str, int] | None]
    outputs: NotRequired[Kept]

class Upload(TypedDict):
    complete: bool
    offset: int
    prefix_sha256: str
    shared: NotRequired[bool]

# Facts
class Told(TypedDict):
    """What the kernel and Python say of themselves."""

    arch: str
    hostname: str
    kernel: str
    cpus: int
    page_size: int
    libc: str | None
    version: Sequence[int]
    implementation: str
    executable: str
    platform: str
    pointer_bytes: int

class GuardRecord(TypedDict):
    kind: str
    sha256: str
    command: list[str]

class GuardState(TypedDict):
    guard: str
    tested: bool
    why: str

class GuardWay(Protocol):
    """`crontab` and `userunit`; each answer is what went wrong, or empty."""

    def install(self, files: Files, board_id: str, command: list[str]) -> str: ...
    def there(self, files: Files, board_id: str, command: list[str]) -> bool: ...
    def test(self, files: Files, board_id: str, command: list[str]) -> str: ...
    def remove(self, files: Files, board_id: str) -> str: ...

# Runners
Feed: TypeAlias = Any  # a runtime's own
Native: TypeAlias = Any
Provider: TypeAlias = str | tuple[str, dict[str, str]]  # of ONNX Runtime, with its options
Binding: TypeAlias = tuple[str, bool, str, tuple[int, ...]]  # of TensorRT: name, is an input, type, shape
Memory: TypeAlias = ctypes.Array[ctypes.c_char]
Buffer: TypeAlias = tuple[Memory, int]  # and its address
Details: TypeAlias = list[dict[str, Native]]  # of LiteRT's tensors

class Session(Protocol):
    @property
    def accelerator(self) -> str: ...
    def feed(self, tensors: Sequence[bytes]) -> Feed: ...
    def infer(self, feed: Feed) -> Native: ...
    def read(self, outputs: Native) -> list[bytes]: ...
    def close(self) -> None: ...

InferOne: TypeAlias = Callable[[Feed], Native]
Do: TypeAlias = Callable[[Unchecked, Task, Stage, Say], Result | PrepareAnswer]  # a job, with a runner

class Runner(Protocol):
    """The module `runner` of a target. `prepares` and `environment` are there where it prepares files."""

    def import_runtime(self) -> str: ...
    def accelerators(self) -> list[str]: ...
    def prepare(self, folder: str, manifest: Manifest, options: Options) -> dict[str, str]: ...
    def load(self, folder: str, manifest: Manifest, options: Options) -> Session: ...

class Preparing(Runner, Protocol):
    def prepares(self, options: Options) -> bool: ...
    def environment(self, options: Options) -> Record: ...

class Tensor(Protocol):
    """A member of a tensor file, as it is or turned into what the model takes."""

    dtype: str
    shape: tuple[int, ...]
    count: int
    sample_shape: tuple[int, ...]
    sample_bytes: int

    def samples(self) -> Iterator[bytes]: ...

Writer: TypeAlias = Ranks | Outputs
Member: TypeAlias = tuple[str, str, list[int]]  # name, dtype, shape of a sample
