"""The results file: one JSON line per artifact, appended trial by trial, so that an interrupted run can continue."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

_SHOWS = ("counts.py", "page.py", "rates.py", "tables.py")  # of the benchmark's own: they read what was found
_JUDGES = (
    "judging.py",
    "replay.py",
    "verdicts.py",
    "store.py",
)  # and these judge what was recorded
_VERDICT = ("quality/verdict/", "quality/artifact_check", "precisions/", "nouns/precision", "nouns/verdict")
_RUNS = (
    "code",
    "samples",
    "machine",
    "runtimes",
)  # rows of runs that differ in one of these cannot be combined
_MOST = ("seeds", "draws")  # rows of the lesser are rows of the greater


class Key(NamedTuple):
    """An artifact; model alone where a row is about more of them."""

    model: str
    target: str
    precision: str


class Row(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """The result of one trial. The first element of its line is a letter that names the class."""


class Made(Row, tag="M", frozen=True):
    """A conversion. `refused`: why there is no artifact. `verdict_s`: the median of three verdicts on it."""

    seconds: float
    verdict_s: float = 0.0
    refused: str = ""


class Origin(Row, tag="O", frozen=True):
    """The origin of a model's weights and data, as in `Case`."""

    trained: int
    data: str


class Fault(Row, tag="F", frozen=True):
    """A fault that was planted.

    Attributes:
        changed: permille of decisions that are other ones than the sound file's, rounded up. -1: it did not run.
        lost: permille of accuracy, of the sound file's; None without labels.
        host: letters of the rules by which a conversion refuses it (`tables.RULES`); empty: accepted.
        board: 1 where a board refuses it by the sound file's manifest.
        sqnr_db, following_db: of the worst output, as in a verdict; 200 where nothing changes.
        detail: what was done; empty where it is refused by both, or not real.
    """

    kind: str
    seed: int
    changed: int
    lost: int | None
    host: str = ""
    board: int = 0
    sqnr_db: float = 0.0
    following_db: float = 0.0
    detail: str = ""


class Sound(Row, tag="S", frozen=True):
    """A verdict on an artifact without a fault.

    Attributes:
        goldens: `own` is the conversion itself, `other` and `random` are goldens that its artifact is judged by again.
        data: the part of the pool that it was calibrated with.
        changed: permille of decisions that are other ones than the source's, rounded up; -1: not known.
        lost: permille of accuracy, where there are labels.
        refused: why the host refuses it. outweighed: 1 where an evaluation set could let it through.
    """

    goldens: str
    data: str
    changed: int
    lost: int | None
    sqnr_db: float
    following_db: float
    refused: str = ""
    outweighed: int = 0


class Kernel(Row, tag="K", frozen=True):
    """A sound artifact on other kernels, or another version of its runtime.

    Attributes:
        changed: permille of decisions about the samples that evaluate that are other ones than on the host.
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


Any_ = Made | Origin | Fault | Sound | Kernel | Before | Done
_LINES = msgspec.json.Decoder(list[Any])


class Store:
    """Rows by artifact, in a file.

    Args:
        code: fingerprint of what decides. A file of other code, samples, machine or runtimes is put aside as `.old`.
    """

    def __init__(self, path: Path, code: str, about: dict[str, Any]) -> None:
        self.path = path
        self.rows: dict[Key, list[Any_]] = {}
        self.head = {"code": code, **about}
        if path.exists():
            head, rows = load(path)
            if self._same(head):
                self._grow(head)
                self.rows = rows
            else:
                put_aside(path)
        self._write()

    def of(self, key: Key, kind: type[Any]) -> list[Any]:
        """The rows of one kind."""
        return [row for row in self.rows.get(key, ()) if isinstance(row, kind)]

    def add(self, key: Key, row: Any_) -> None:
        """Keeps a row, and appends it."""
        self.rows.setdefault(key, []).append(row)
        with self.path.open("ab") as file:
            file.write(_line(key, [row]))

    def put(self, key: Key, rows: list[Any_]) -> None:
        """Replaces the rows."""
        if rows != self.rows.get(key):
            self.rows[key] = rows
            self._write()

    def take(self, path: Path) -> None:
        """Takes the additional rows of another file, which began as a copy of this one, and removes that file. A file of another run is put aside."""
        head, found = load(path)
        if not self._same(head):
            put_aside(path)
            return
        self._grow(head)
        for key, rows in found.items():
            if len(rows) >= len(self.rows.get(key, ())):
                self.rows[key] = rows
        self._write()
        path.unlink()

    def close(self) -> None:
        """Writes one line an artifact."""
        self._write()

    def _same(self, head: dict[str, Any]) -> bool:
        return all(head.get(name) == self.head.get(name) for name in _RUNS)

    def _grow(self, head: dict[str, Any]) -> None:
        for name in _MOST:
            if name in self.head:
                self.head[name] = max(self.head[name], head.get(name, 0))

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".part")
        beside.write_bytes(
            b"".join([msgspec.json.encode(self.head) + b"\n", *(_line(*item) for item in self.rows.items())])
        )
        beside.replace(self.path)


def put_aside(path: Path) -> None:
    """Renames a file to `<name>.old`, in place of an earlier one."""
    path.replace(path.with_name(f"{path.name}.old"))


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
    """Covers the code that decides: all code that artifacts depend on, and this benchmark's own."""
    from edgewright.compile.inspection import code_fingerprint

    own = Path(__file__).parent
    mine = {f"truth/{file.name}": file for file in own.rglob("*.py") if file.name not in _SHOWS}
    return code_fingerprint.of({**code_fingerprint.files(), **mine})[:12]


def answers_fingerprint() -> str:
    """Covers the code that makes recordings, without the code that judges them."""
    from edgewright.compile.inspection import code_fingerprint

    own = Path(__file__).parent
    mine = {f"truth/{file.name}": file for file in own.rglob("*.py") if file.name not in (*_SHOWS, *_JUDGES)}
    theirs = {
        name: file
        for name, file in code_fingerprint.files().items()
        if not any(part in str(name) for part in _VERDICT)
    }
    return code_fingerprint.of({**theirs, **mine})[:12]
