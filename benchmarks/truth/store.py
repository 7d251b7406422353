"""The results file: one JSON line an artifact, appended trial by trial, so that a run that is interrupted goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

_HOST = ("compile/verdict/*.py", "compile/quality/artifact_check.py", "compile/data/goldens.py", "compile/data/goldens_selection.py", "compile/quality/levels.py", "compile/graph/output_tails.py",
         "compile/data/counted_values.py", "nouns/precision.py", "nouns/verdict.py")  # fmt: skip


class Key(NamedTuple):
    """An artifact; model alone where a row is about more of them."""

    model: str
    target: str
    precision: str


class Row(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What one trial found. The first element of its line is a letter that names the class."""


class Made(Row, tag="M", frozen=True):
    """A conversion. `refused`: why there is no artifact. `verdict_s`: of a verdict that asks no fresh samples."""

    seconds: float
    verdict_s: float = 0.0
    refused: str = ""


class Fault(Row, tag="F", frozen=True):
    """A fault that was planted.

    Attributes:
        changed: permille of decisions that are other ones than the sound file's. -1: it did not run.
        host: letters of the rules by which a conversion refuses it (`tables.RULES`); empty: accepted.
        board: 1 where a board refuses it by the sound file's manifest.
        sqnr_db, following_db: of the worst output, as in a verdict; 200 where nothing changes.
        detail: what was done; empty where it is refused by both, or changes little.
    """

    kind: str
    seed: int
    changed: int
    host: str = ""
    board: int = 0
    sqnr_db: float = 0.0
    following_db: float = 0.0
    detail: str = ""


class Sound(Row, tag="S", frozen=True):
    """A verdict on an artifact without a fault.

    Attributes:
        goldens: `own`, `other`, `random`. data: the part of the pool that it was calibrated with.
        changed: permille of decisions that are other ones than the source's. lost: permille of accuracy, where there are labels.
        right: 1 where it is a right conversion (`trials.right`).
        refused: why the host refuses it.
    """

    goldens: str
    data: str
    changed: int
    lost: int | None
    right: int
    sqnr_db: float
    following_db: float
    refused: str = ""


class Kernel(Row, tag="K", frozen=True):
    """A sound artifact on other kernels, or another version of its runtime.

    Attributes:
        changed: permille of decisions that are other ones than on the host.
        loss_db: of SQNR from the host. board: 1 where a board refuses it. failed: it does not run there, and why.
    """

    kernels: str
    changed: int
    sqnr_db: float = 0.0
    loss_db: float = 0.0
    board: int = 0
    failed: str = ""


class Before(Row, tag="B", frozen=True):
    """A mistake that lies before source and artifact.

    Attributes:
        changed: permille of decisions on the right evaluation data that are other ones than the source's.
        host: as of Fault. noted: the conversion notes that ranges differ. evaluation: 1 where an evaluation set refuses it.
    """

    kind: str
    changed: int
    host: str
    noted: int
    evaluation: int


class Done(Row, tag="D", frozen=True):
    """All of an artifact was tried: this many faults of each kind, this many draws."""

    seeds: int
    draws: int


Any_ = Made | Fault | Sound | Kernel | Before | Done
_LINES = msgspec.json.Decoder(list[Any])


class Store:
    """Rows by artifact, in a file.

    Args:
        code: fingerprint of what decides; a file of other code is begun again.
    """

    def __init__(self, path: Path, code: str, about: dict[str, Any]) -> None:
        self.path, self.rows = path, {}
        self.rows: dict[Key, list[Any_]] = {}
        self.head = {"code": code, **about}
        if path.exists():
            head, rows = load(path)
            if head.get("code") == code:
                self.head, self.rows = {**self.head, **head}, rows
        self._write()

    def of(self, key: Key, kind: type[Any]) -> list[Any]:
        """The rows of one kind."""
        return [row for row in self.rows.get(key, ()) if isinstance(row, kind)]

    def add(self, key: Key, row: Any_) -> None:
        """Keeps a row, and appends it."""
        self.rows.setdefault(key, []).append(row)
        with self.path.open("ab") as file:
            file.write(_line(key, [row]))

    def take(self, path: Path) -> None:
        """Takes what another file, which began as a copy of this one, has more."""
        for key, rows in load(path)[1].items():
            if len(rows) > len(self.rows.get(key, ())):
                self.rows[key] = rows

    def close(self) -> None:
        """Writes one line an artifact."""
        self._write()

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".part")
        beside.write_bytes(
            b"".join([msgspec.json.encode(self.head) + b"\n", *(_line(*item) for item in self.rows.items())])
        )
        beside.replace(self.path)


def load(path: Path) -> tuple[dict[str, Any], dict[Key, list[Any_]]]:
    """Returns (facts about the run, its rows by artifact). Ignores a last line that was cut off."""
    lines = path.read_bytes().splitlines()
    rows: dict[Key, list[Any_]] = {}
    for line in lines[1:]:
        try:
            key, found = _read(line)
        except msgspec.DecodeError:
            continue
        rows.setdefault(key, []).extend(found)
    return msgspec.json.decode(lines[0], type=dict[str, Any]), rows


def _read(line: bytes) -> tuple[Key, list[Any_]]:
    model, target, precision, *rows = _LINES.decode(line)
    return Key(model, target, precision), msgspec.convert(rows, list[Any_])


def _line(key: Key, rows: list[Any_]) -> bytes:
    return msgspec.json.encode([*key, *rows]) + b"\n"


def fingerprint() -> str:
    """Over the code that decides: the verdict's, and this benchmark's own."""
    import edgewright

    host, own = Path(edgewright.__path__[0]), Path(__file__).parent
    found = hashlib.sha256()
    for file in _files(host, own):
        found.update(file.name.encode() + file.read_bytes())
    return found.hexdigest()[:12]


def _files(host: Path, own: Path) -> Iterator[Path]:
    for pattern in _HOST:
        yield from sorted(host.glob(pattern))
    yield from (own / f"{name}.py" for name in ("decide", "faults", "ends", "layer", "verdicts", "trials"))
