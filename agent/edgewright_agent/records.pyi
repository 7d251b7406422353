"""Types of the records on a board: its state, manifests, runtimes. `shapes.pyi` imports these too."""

from collections.abc import Mapping
from typing import NotRequired, TypeAlias, TypedDict

from typing_extensions import ReadOnly

FileRow: TypeAlias = tuple[str, int]  # sha256, size; a list of both in JSON
Record: TypeAlias = Mapping[str, object]  # read here without its types, or written

# Times and processes
class Deadline(TypedDict):
    boot_id: str
    at: float

class Owner(TypedDict):
    pid: int
    started: int | None
    boot_id: str

class Watchdog(Owner):
    schema: NotRequired[int]

# The state
class Figures(TypedDict):
    sqnr_db: float
    relative: float
    least_sqnr_db: NotRequired[float]
    greatest_relative: NotRequired[float]

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

class Cpu(TypedDict):
    arch: str
    name: str
    features: list[str]

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
    cpu: NotRequired[Cpu]

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
