"""The types in quoted annotations of the agent and of runners, including those in `records.pyi`.

Only type checkers read it: at run time Python imports `shapes.py` instead, and packing removes that as well.
"""

import ctypes
import hashlib
import subprocess
from collections.abc import Callable, Mapping
from collections.abc import Iterable as Iterable
from collections.abc import Iterator as Iterator
from collections.abc import Sequence as Sequence
from typing import IO, Any, NotRequired, Protocol, TypeAlias, TypedDict, TypeGuard, TypeVar

from typing_extensions import ReadOnly

from edgewright_agent.child.answers import Outputs, Ranks
from edgewright_agent.child.main import Stage as Stage
from edgewright_agent.installed.releases import Releases as Releases
from edgewright_agent.lifecycle.agent import Agent as Agent
from edgewright_agent.lifecycle.trial import Trials as Trials
from edgewright_agent.protocol import AgentError as AgentError
from edgewright_agent.records import *
from edgewright_agent.storage.files import Files as Files
from edgewright_agent.storage.integrity import Integrity as Integrity
from edgewright_agent.storage.results import SessionFiles as SessionFiles

# Functions and standard types
Number = TypeVar("Number", int, float)
Unchecked: TypeAlias = Any  # from JSON, or imported by name: its type is unchecked
Result: TypeAlias = dict[str, object]  # of a command, or a part of one, on its way to the host
Arguments: TypeAlias = dict[str, Unchecked]  # of a command: `arguments.check` checks their types
Found: TypeAlias = Mapping[str, Unchecked]  # a command's arguments and its result together, for the log
Say: TypeAlias = Callable[[Result], object]  # takes an event
Describe: TypeAlias = Callable[[Arguments], str]
Write: TypeAlias = Callable[[bytes], object]
Check: TypeAlias = Callable[[Unchecked], bool]
Rule: TypeAlias = (
    str | tuple[str, object]
)  # the name of an argument's type; with its default, if it is optional
IsWhole: TypeAlias = TypeGuard[int]
IsNumber: TypeAlias = TypeGuard[float]
Process: TypeAlias = subprocess.Popen[bytes]
Pipe: TypeAlias = int | IO[bytes] | None
Numbers: TypeAlias = Sequence[float]
Stream: TypeAlias = IO[bytes]
Callback: TypeAlias = Callable[[], object]
Act: TypeAlias = Callable[..., object]
Fill: TypeAlias = Callable[[Write], object]
Edit: TypeAlias = Callable[[str], str]
Hash: TypeAlias = hashlib._Hash
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

class Stamp(TypedDict, total=False):
    """When a guard finished."""

    boot_id: str
    at: float

# Jobs of a child
class Options(TypedDict, total=False):
    threads: int | None
    accelerator: str | None
    prepared: str | None
    trace: str
    exact: bool

class Errand(TypedDict):
    """The part of a job that starts a child and identifies the files."""

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
    """A job as its child reads it; which keys are present depends on `do`."""

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
    """Facts that the kernel and Python report."""

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
    """`crontab` or `user_unit`; each function returns what went wrong, or empty."""

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
    """The module `runner` of a target. It has `prepares` and `environment` if it prepares files."""

    def import_runtime(self) -> str: ...
    def accelerators(self) -> list[str]: ...
    def prepare(self, folder: str, manifest: Manifest, options: Options) -> dict[str, str]: ...
    def load(self, folder: str, manifest: Manifest, options: Options) -> Session: ...

class Preparing(Runner, Protocol):
    def prepares(self, options: Options) -> bool: ...
    def environment(self, options: Options) -> Record: ...

class Tensor(Protocol):
    """A member of a tensor file, unchanged or converted to the model's input."""

    dtype: str
    shape: tuple[int, ...]
    count: int
    sample_shape: tuple[int, ...]
    sample_bytes: int

    def samples(self) -> Iterator[bytes]: ...

Writer: TypeAlias = Ranks | Outputs
Member: TypeAlias = tuple[str, str, list[int]]  # name, dtype, shape of a sample
