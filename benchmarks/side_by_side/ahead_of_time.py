"""docs/ahead-of-time.md, from the results file: compiled models beside runtimes, and who wins where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from side_by_side.page import run_line, sizes_table, table, timings_table
from side_by_side.results import Found, Timing, load
from side_by_side.tables import AHEAD_OF_TIME, TABLES

_TITLE = "# Models compiled ahead of time\n"
_HOW = """The targets `iree` and `tvm` compile a model to the machine code of a board's CPU. A board then needs a small runtime, and no numpy: `iree` needs Python 3.10 or newer, `tvm`
3.6. `edgewright export ARTIFACT --lang c` makes a C program of a `tvm` artifact, for applications without Python ([c-program.md](c-program.md)).

`benchmarks/bench_targets.py --table ahead-of-time` measures this on an x86 lab board: **ratios on an Arm board differ; nothing here ran on
hardware.** The artifacts of a model at one precision take turns in one `edgewright bench`, with one thread. MobileNetV2, the attention block and the
LSTM have random weights. `iree` and `tvm` compile for the board's own CPU, here the newest of x86-64's levels that it has. *convert s* includes the comparison of the outputs with the source's.
"""
_UNMEASURED = "Not measured for this version yet: `benchmarks/bench_targets.py --table ahead-of-time` does it, and `make docs` then writes the tables here.\n"
_WINNERS = """## Who wins where

p50 divided by that of the fastest runtime (ONNX Runtime, LiteRT or ncnn): below 1, the compiled model is faster; within 3 % of it counts as equal. The last columns are the smallest sum of runtime
and model on the board, and that of the fastest runtime, in MB.
"""
_EQUAL = 0.03  # p50 that differ by less count as equal
_MB = 1e6


def page(path: Path = TABLES["ahead-of-time"].results) -> str:
    """The page; says so if nothing is measured."""
    found = load(path)
    if found is None:
        return f"{_TITLE}\n{_UNMEASURED}"
    return "\n".join(
        [
            _TITLE,
            _HOW,
            run_line(found.run),
            _winners(found),
            timings_table(found, 2),
            sizes_table(found.sizes, 2),
        ]
    )


def _winners(found: Found) -> str:
    cells: dict[tuple[str, str], list[Timing]] = {}
    for row in found.timings:
        if row.p50_ms:
            cells.setdefault((row.model, row.precision), []).append(row)
    sizes = {size.target: size.unpacked for size in found.sizes if size.on_board}
    head = [
        "model",
        "precision",
        "fastest",
        *(f"`{name}` / fastest runtime" for name in AHEAD_OF_TIME),
        "smallest",
        "fastest runtime's",
    ]
    ratios: dict[str, dict[str, float]] = {name: {} for name in AHEAD_OF_TIME}
    rows = []
    for (model, precision), timings in cells.items():
        runtimes = [one for one in timings if one.target not in AHEAD_OF_TIME]
        if not runtimes:  # all refused it: there is nothing to compare with
            continue
        runtime = min(runtimes, key=lambda one: one.p50_ms)
        compiled = {one.target: one.p50_ms / runtime.p50_ms for one in timings if one.target in AHEAD_OF_TIME}
        for name, ratio in compiled.items():
            ratios[name][f"{model} {precision}"] = ratio
        total = {one.target: (sizes.get(one.target, 0) + one.model_bytes) / _MB for one in timings}
        smallest = min(total, key=lambda name: total[name])
        rows.append(
            [
                model, precision, min(timings, key=lambda one: one.p50_ms).target,
                *(f"{compiled[name]:.2f}" if name in compiled else "-" for name in AHEAD_OF_TIME),
                f"{smallest}, {total[smallest]:.1f}", f"{runtime.target}, {total[runtime.target]:.1f}",
            ]
        )  # fmt: skip
    said = [_said(name, ratios[name], len(rows)) for name in AHEAD_OF_TIME]
    return "\n".join([_WINNERS, *said, "", table(head, rows)])


def _said(name: str, ratios: dict[str, float], count: int) -> str:
    """What the figures of one target mean, in a sentence."""
    wins = [case for case, ratio in ratios.items() if ratio < 1 - _EQUAL]
    ties = [case for case, ratio in ratios.items() if abs(ratio - 1) <= _EQUAL]
    others = [f"{ratio:.1f}" for ratio in sorted(ratios.values()) if ratio > 1 + _EQUAL]
    parts = [f"is faster than every runtime for {_listed(wins or ['none of them'])}"]
    if ties:
        parts.append(f"ties with the fastest one for {_listed(ties)}")
    if others:
        times = " to ".join(dict.fromkeys((others[0], others[-1])))
        parts.append(f"takes {times} times as long as the fastest one elsewhere")
    left = count - len(ratios)
    more = f" {left} of {count} it does not make." if left else ""
    *first, last = parts
    return f"- `{name}` {', '.join(first)}{', and ' if first else ''}{last}.{more}"


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
