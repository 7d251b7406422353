"""The results file: one JSON line per run of a row, appended as soon as it is done, so that an interrupted benchmark continues."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from compression_bench.rows import BY_NAME, Row

RESULTS = Path(__file__).with_name("results.jsonl")


class Session(msgspec.Struct, frozen=True, tag="session"):
    """A start of the benchmark: where and with what the rows after it ran. `code`: fingerprint of edgewright's."""

    machine: str
    runtimes: str
    code: str


class Artifact(msgspec.Struct, frozen=True):
    """A converted network.

    Attributes:
        right: a bit per test sample, set where it answers right: packed, base64.
        bytes: of its model files; packed: compressed by deflate.
        refused: why edgewright would not have kept it; empty if it accepts it. It is measured all the same.
        ratio: p50 of the original's artifact at this precision divided by this one's, in turns, on this host; 0: not measured.
    """

    right: str
    bytes: int
    packed: int
    refused: str = ""
    ratio: float = 0.0


class Record(msgspec.Struct, frozen=True, tag="record"):
    """One row, tried on one trained net.

    Attributes:
        seed: of the net and of the row; the fold for nets of `../shared`.
        key: of the row's steps.
        samples: that test.
        int8: None where there is no artifact: `why` tells.
        seconds: that the steps took, with those that decide after each epoch.
    """

    framework: str
    net: str
    seed: int
    row: str
    key: str
    samples: int
    parameters: int
    macs: int
    fp32: Artifact | None
    int8: Artifact | None
    seconds: float
    why: str = ""

    def bits(self, precision: str) -> Any:
        """Which test samples are answered right, bool of shape (samples,); None without such an artifact."""
        found: Artifact | None = getattr(self, precision)
        if found is None:
            return None
        packed = np.frombuffer(base64.b64decode(found.right), np.uint8)
        return np.unpackbits(packed, count=self.samples).astype(bool)


class Found(NamedTuple):
    """The contents of a results file: sessions without repetition, and the records of today's rows."""

    sessions: list[Session]
    records: list[Record]


_LINE = msgspec.json.Decoder(Session | Record)


def packed(right: Any) -> str:
    """Bools as `Artifact.right`."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def load(path: Path) -> Found:
    """Reads a results file. Ignores a line that was cut off, and records of rows that have changed since."""
    sessions: dict[Session, None] = {}
    records: dict[tuple[str, str, int, str], Record] = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            one = _LINE.decode(line)
        except msgspec.DecodeError:
            continue
        if isinstance(one, Session):
            sessions[one] = None
        elif one.row in BY_NAME and BY_NAME[one.row].key == one.key:
            records[one.framework, one.net, one.seed, one.row] = one
    return Found(list(sessions), list(records.values()))


class Notes:
    """Appends to a results file."""

    def __init__(self, path: Path, session: Session) -> None:
        self._path = path
        found = load(path)
        self._done = {(one.framework, one.net, one.seed, one.row) for one in found.records}
        if session not in found.sessions[-1:]:
            self._append(session)

    def has(self, framework: str, net: str, seed: int, row: Row) -> bool:
        """Whether this row was tried."""
        return (framework, net, seed, row.name) in self._done

    def add(self, record: Record) -> None:
        """Keeps a record."""
        self._append(record)

    def _append(self, line: Session | Record) -> None:
        before = self._path.read_bytes()[-1:] if self._path.exists() else b"\n"
        with self._path.open("ab") as file:
            file.write((b"" if before == b"\n" else b"\n") + msgspec.json.encode(line) + b"\n")
