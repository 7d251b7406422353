"""The shape of what the agent answers, checked before anyone relies on it: a board may say anything."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

import msgspec

from edgewright.errors import ProtocolError
from edgewright.wire.commands import UPDATE


class Result(TypedDict):
    """A RESULT of docs/wire.md."""

    result: str
    sha256: str
    size: int


class Release(TypedDict, total=False):
    """A release in `status`."""

    state: str
    version: str
    artifact: str
    target: str
    precision: str
    runtime: str
    runner: str


class Model(TypedDict, total=False):
    """A model in `status`."""

    current: str | None
    last_good: str | None
    known_good: list[str]
    trial: dict[str, Any] | None
    releases: dict[str, Release]
    failed: list[dict[str, Any]]


class Status(TypedDict):
    """`status`."""

    models: dict[str, Model]
    lease: dict[str, Any] | None
    problem: str


class Outcome(TypedDict):
    """`commit`, `revert`, `outcome`."""

    outcome: str


class Installed(TypedDict):
    """`install`."""

    release: str
    state: str


class LostSlice(TypedDict):
    """A slice that does not follow its source, in `verify`."""

    output: int
    axis: int
    index: int


class Figures(TypedDict):
    """What an output is and what it may be, in `verify`; no limits where not all goldens were compared."""

    sqnr_db: float
    least_sqnr_db: NotRequired[float]
    relative: float
    greatest_relative: NotRequired[float]


class Verdict(TypedDict):
    """`verify`; from `lost` to `compared` of a manifest of schema 2."""

    ok: bool
    goldens: int
    sqnr_db: float
    relative: float
    failed: list[int]
    runtime: str
    accelerator: str
    placement: NotRequired[dict[str, int] | None]
    outputs: Result
    lost: NotRequired[list[LostSlice]]
    wrong: NotRequired[list[int]]
    low: NotRequired[list[int]]
    by_output: NotRequired[list[Figures]]
    compared: NotRequired[int]


class Score(TypedDict):
    """`evaluate`."""

    keep: str
    n: int
    outputs: list[dict[str, Any]]
    answers: Result


class Bench(TypedDict):
    """`bench`."""

    runs: list[dict[str, Any]]
    before: dict[str, Any]
    after: dict[str, Any]


class Inferred(TypedDict):
    """`infer`."""

    outputs: Result
    ms: list[float]
    release: str
    runtime: str
    accelerator: str


class Described(TypedDict):
    """`infer` without inputs."""

    manifest: dict[str, Any]


class OnTrial(TypedDict):
    """`activate`."""

    state: str
    deadline_s: float


class RolledBack(TypedDict):
    """`rollback`; a dry run has no trial."""

    release: str
    state: NotRequired[str]
    deadline_s: NotRequired[float]


class Logs(TypedDict):
    """`logs`."""

    log: Result


class Provisioned(TypedDict):
    """`provision`."""

    ref: str
    bytes: int


class Pruned(TypedDict):
    """`prune`."""

    removed: list[str]
    in_use: NotRequired[list[str]]
    freed_bytes: int


SHAPES: dict[str, Any] = {
    "status": Status, "commit": Outcome, "revert": Outcome, "outcome": Outcome, "install": Installed, "verify": Verdict,
    "evaluate": Score, "bench": Bench, "infer": Inferred, "activate": OnTrial, "rollback": RolledBack, "logs": Logs,
    "provision": Provisioned, "prune": Pruned,
}  # fmt: skip


def check(do: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of a command, unknown keys and all.

    Raises:
        ProtocolError: a key that the host relies on is missing or of another type.
    """
    if do in SHAPES:
        shape = Described if do == "infer" and "manifest" in answer else SHAPES[do]
        try:
            msgspec.convert(answer, shape)
        except msgspec.ValidationError as error:
            raise ProtocolError(f"the board's answer to {do} is not valid: {error}", hint=UPDATE) from error
    return answer


class Untyped:
    """A command by name, for callers that still take dictionaries."""

    def __init__(self, do: str, args: dict[str, Any]) -> None:
        self.do, self.args = do, args

    def arguments(self) -> dict[str, Any]:
        return self.args

    def read(self, given: dict[str, Any]) -> dict[str, Any]:
        return check(self.do, given)
