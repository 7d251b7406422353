"""The results file: one JSON line for the run, then one for each timing and each size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec


class Run(msgspec.Struct, frozen=True, tag="run"):
    """How the figures were measured. Rows of runs that differ in one of these are not combined.

    Attributes:
        day: such as `2026-11-30`.
        machine: cores, architecture, instructions, kernel.
        python: of the board.
        protocol: how each artifact was measured, in words.
    """

    day: str
    machine: str
    python: str
    protocol: str
    code: str


class Timing(msgspec.Struct, frozen=True, tag="timing"):
    """One artifact, measured in turns with the other targets' artifacts of its model and precision.

    Attributes:
        refused: why there is no artifact; the figures are then 0.
        convert_s: seconds of its conversion with the comparison of its outputs, and the start of a framework's worker where it is the
            first to need one; 0 if it was not measured.
        ratio: its p50 divided by that of the first target; `low` and `high` are the 95 % interval. 0 for the first target itself.
        process_mb: greatest memory of the process, MiB; model_mb the model's share of it. None if unknown.
        load: one-minute load average when the measurement began.
        invalid: why the measurement cannot be trusted.
    """

    model: str
    precision: str
    target: str
    refused: str = ""
    runtime: str = ""
    model_bytes: int = 0
    p50_ms: float = 0.0
    ratio: float = 0.0
    low: float = 0.0
    high: float = 0.0
    load_ms: float = 0.0
    process_mb: float | None = None
    model_mb: float | None = None
    load: float | None = None
    invalid: tuple[str, ...] = ()
    convert_s: float = 0.0


class Size(msgspec.Struct, frozen=True, tag="size"):
    """The runtime that a kind of board gets from a target.

    Attributes:
        runtime: empty if no wheel fits.
        sent: bytes of its wheels, with those of their dependencies.
        unpacked: bytes of the files in them.
        own: what the board's own Python must have; not in the figures.
        on_board: bytes on the board with the bytecode that it compiled; 0 if it was not provisioned.
    """

    system: str
    python: str
    arch: str
    glibc: str
    target: str
    runtime: str = ""
    sent: int = 0
    unpacked: int = 0
    own: tuple[str, ...] = ()
    on_board: int = 0


class Found(NamedTuple):
    """The contents of a results file."""

    run: Run
    timings: list[Timing]
    sizes: list[Size]


_LINE = msgspec.json.Decoder(Run | Timing | Size)


def load(path: Path) -> Found | None:
    """Reads a results file; None if there is none. Ignores a last line that was cut off."""
    if not path.exists():
        return None
    rows: list[Run | Timing | Size] = []
    for line in path.read_bytes().splitlines():
        try:
            rows.append(_LINE.decode(line))
        except msgspec.DecodeError:
            break
    runs = [row for row in rows if isinstance(row, Run)]
    if not runs:
        return None
    timings = [row for row in rows if isinstance(row, Timing)]
    return Found(runs[0], timings, [row for row in rows if isinstance(row, Size)])


class Notes:
    """Writes rows as they are found, beside the results file, which is replaced when all are there.

    Args:
        run: an interrupted run with the same settings continues.
    """

    def __init__(self, path: Path, run: Run) -> None:
        self.path = path
        self.beside = path.with_name(f"{path.name}.part")
        before = load(self.beside)
        same = before is not None and before.run == run
        self.found = before if before is not None and same else Found(run, [], [])
        self.beside.write_bytes(b"")
        self._append([self.found.run, *self.found.timings, *self.found.sizes])

    def add(self, timings: Sequence[Timing] = (), sizes: Sequence[Size] = ()) -> None:
        """Keeps rows."""
        self.found.timings.extend(timings)
        self.found.sizes.extend(sizes)
        self._append([*timings, *sizes])

    def close(self) -> None:
        """Replaces the results file."""
        self.beside.replace(self.path)

    def _append(self, rows: Sequence[Run | Timing | Size]) -> None:
        with self.beside.open("ab") as file:
            file.write(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
