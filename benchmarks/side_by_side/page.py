"""The section of docs/targets.md, from the results file, and the tables that docs/ahead-of-time.md has too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from side_by_side.results import Found, Run, Size, Timing, load
from side_by_side.tables import TABLES

_TITLE = "## Size and speed side by side\n"
_HOW = """`benchmarks/bench_targets.py` measures this on an x86 lab board: **ratios on an Arm board differ; nothing here ran on hardware.** The
artifacts of a model at one precision take turns in one `edgewright bench`, with one thread. MobileNetV2 has random weights.
"""
_UNMEASURED = "Not measured for this version yet: `benchmarks/bench_targets.py` does it, and `make docs` then writes the tables here.\n"
_SIZES = """Size of the runtimes

The wheels that a board gets, with numpy where the runtime needs it: *sent* as wheels, *unpacked* their files. The lab board's figure in
brackets includes the bytecode that it compiled. Sizes in MB (10^6 bytes); of boards that are not here they come from the resolved wheels.
"""
_TIMINGS = """Latency and memory

*Runtime + model* is the unpacked runtime and the model, in MB. *Process* is the greatest memory of the whole process, *of it model* what the model added
after the runtime's import, in MiB. The ratio is of p50, with its 95 % interval.
"""
_MB = 1e6


def section(path: Path = TABLES["targets"].results) -> str:
    """The section; says so if nothing is measured."""
    found = load(path)
    if found is None:
        return f"{_TITLE}\n{_UNMEASURED}"
    return "\n".join([_TITLE, _HOW, run_line(found.run), sizes_table(found.sizes), timings_table(found)])


def run_line(run: Run) -> str:
    """When, where and how it was measured."""
    return f"{run.day}; {run.machine}; the board's Python {run.python}; {run.protocol}.\n"


def sizes_table(sizes: Sequence[Size], level: int = 3) -> str:
    """The part on the size of the runtimes, with a heading of that level."""
    names = list(dict.fromkeys(size.target for size in sizes))
    rows: dict[tuple[str, str, str, str], dict[str, str]] = {}
    notes: list[str] = []
    for size in sizes:
        system = (size.system, size.python, size.arch, size.glibc)
        rows.setdefault(system, {})[size.target] = _size(size, notes)
    head = ["board", "Python", "architecture", "glibc", *names]
    rendered = table(
        head, [[*system, *(cells.get(name, "-") for name in names)] for system, cells in rows.items()]
    )
    return f"{'#' * level} {_SIZES}\n{rendered}" + "".join(f"\n{note}\n" for note in notes)


def _size(size: Size, notes: list[str]) -> str:
    if not size.runtime:
        return "-"
    here = f" ({size.on_board / _MB:.1f})" if size.on_board else ""
    cell = f"{size.runtime}: sent {size.sent / _MB:.1f}, unpacked {size.unpacked / _MB:.1f}{here}"
    if not size.own:
        return cell
    note = f"¹ Without {', '.join(size.own)}, which is the system's own there."
    if note not in notes:
        notes.append(note)
    return f"{cell} ¹"


def timings_table(found: Found, level: int = 3) -> str:
    """The part on latency and memory; with the time to convert if that was measured."""
    here = {size.target: size.unpacked for size in found.sizes if size.on_board}
    base = next((row.target for row in found.timings if row.p50_ms), "")
    head = [
        "model", "precision", "target", "runtime", "model MB", "runtime + model", "p50 ms", f"/ {base}", "load ms", "process",
        "of it model",
    ]  # fmt: skip
    timed = any(row.convert_s for row in found.timings)
    if timed:
        head.append("convert s")
    refused, marks = [row for row in found.timings if row.refused], []
    rows = [
        _timing(row, here.get(row.target, 0)) + ([f"{row.convert_s:.1f}"] if timed else [])
        for row in found.timings
        if not row.refused
    ]
    loads = [row.load for row in found.timings if row.load is not None]
    if loads:
        marks.append(f"Load when a measurement began: {min(loads):.1f} to {max(loads):.1f}.")
    if any(row.invalid for row in found.timings):
        causes = sorted({cause for row in found.timings for cause in row.invalid})
        marks.append(f"² Not to be trusted: {'; '.join(causes)}.")
    marks += [f"{row.model}, {row.target} {row.precision}: no artifact, {row.refused}." for row in refused]
    return f"{'#' * level} {_TIMINGS}\n{table(head, rows)}" + "".join(f"\n{mark}\n" for mark in marks)


def _timing(row: Timing, runtime: int) -> list[str]:
    mib: Callable[[float | None], str] = lambda value: "-" if value is None else f"{value:.1f}"  # noqa: E731 - one line
    ratio = f"{row.ratio:.2f} ({row.low:.2f}-{row.high:.2f})" if row.ratio else "-"
    return [
        row.model, row.precision, row.target, row.runtime, f"{row.model_bytes / _MB:.3f}",
        f"{(runtime + row.model_bytes) / _MB:.1f}" if runtime else "-",
        f"{row.p50_ms:.3g}{' ²' if row.invalid else ''}", ratio, f"{row.load_ms:.3g}", mib(row.process_mb), mib(row.model_mb),
    ]  # fmt: skip


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
