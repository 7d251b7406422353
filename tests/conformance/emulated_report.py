"""Writes docs/emulated.md from the results of the tests: runners that passed the suite on emulated boards, and parity with x86.

Usage: python tests/conformance/emulated_report.py
Run test_conformance_emulated.py and test_conformance_parity.py first; their results are in `.pytest_cache/emulated.jsonl`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "emulated.md"
ROWS = REPOSITORY / ".pytest_cache" / "emulated.jsonl"
KEYS = ("kind", "architecture", "target", "runtime", "python", "precision")
HEAD = """# Emulated boards

<!-- written by `tests/conformance/emulated_report.py` from a run of the tests: do not edit -->

`edgewright lab up --arch arm64` (or `armv7l`) gives boards with their own Debian, on a CPU that qemu emulates: a Cortex-A72, or a
Cortex-A7 for 32 bits. Real Arm wheels run in them, so answers count; how fast they come says nothing about a board. **None of this
ran on hardware.**

| command | userland | kernel | `uname -m` |
|---|---|---|---|
| `lab up --arch arm64` | arm64 | this machine's | aarch64 |
| `lab up --arch arm64 --vm` | arm64 | Debian's arm64 | aarch64 |
| `lab up --arch armv7l` | armhf, as 32-bit Raspberry Pi OS | this machine's | armv7l |
| `lab up --arch armv7l --vm` | armhf | Debian's arm64, as 32-bit Raspberry Pi OS has on a Pi 3 or 4 | aarch64 |
| `lab up --arch armv7l --vm --kernel armv7l` | armhf | Debian's armmp | armv7l |
"""
PARITY = """
## Boards against x86

The same artifact of the digits model, by the same version of its runtime for Python 3.11, on 450 evaluation images. SQNR is
that of the board's answers with the x86 ones as the signal; the difference is that of probabilities; *same* are equal first guesses.

| board | target | runtime | precision | SQNR, dB | greatest difference | same | accuracy x86 | accuracy board |
|---|---|---|---|---:|---:|---:|---:|---:|
"""
SUITE = """
## Runners

Each went through the suite that x86 runners pass too (`edgewright.testing.runner_checks`): goldens of three models, order and types of
tensors, copies, threads, accelerators that are absent.

| board | target | runtime | Python | Debian | passed | but |
|---|---|---|---|---|---:|---|
"""
REST = """
What failed: OpenVINO 2026.4.1 cannot compile a convolution with quantised outputs for a Cortex-A72 ("object is not initialized"), which
has no dot products; for an emulated Cortex-A76 it can. 2024.4.0 can. A board that it fails on refuses the release.

The artifacts of iree and tvm for x86 and arm64 are different machine code, so that the first table lacks them; their suites run code for a Cortex-A72.

On armv7l, tflite-runtime takes Debian's own numpy (`python3-numpy`), because there are no wheels of it; ncnn needs nothing. Bullseye's
numpy is 1.19.5, and with that tflite-runtime 2.13.0 loads no model ("module compiled against API version 0xe"): a board that has it is refused.

Debian has no Arm build of Python 3.6 to 3.8, 3.10 and 3.12, and no archive with one is used here: what boards
with those get has not run on Arm. OpenVINO 2025.3.0, for Python 3.9 with glibc 2.35 or newer, has no Debian either.
"""


def note(**row: Any) -> None:
    """Keeps the result of a test."""
    ROWS.parent.mkdir(exist_ok=True)
    with ROWS.open("a") as file:
        file.write(json.dumps(row) + "\n")


def page(rows: list[dict[str, Any]]) -> str:
    """The page with the last row of each kind."""
    last = {tuple(str(row.get(key)) for key in KEYS): row for row in rows}
    parity, suite = (
        [row for _, row in sorted(last.items()) if row["kind"] == kind] for kind in ("parity", "suite")
    )
    lines = [
        f"| {row['architecture']} | {row['target']} | {row['runtime']} | {row['precision']} | {decibels(row['sqnr_db'])} | {row['max_abs']:.1e} "
        f"| {row['same']:.1%} | {row['x86']:.1%} | {row['board']:.1%} |\n"
        for row in parity
    ]
    passed = [
        f"| {row['architecture']} | {row['target']} | {row['runtime']} | {row['python']} | {row['debian']} "
        f"| {row['checks'] - len(row['failed'])} of {row['checks']} | {'; '.join(row['failed']).replace('_', ' ')} |\n"
        for row in suite
    ]
    return HEAD + PARITY + "".join(lines) + SUITE + "".join(passed) + REST


def decibels(value: float) -> str:
    """The text for a SQNR; 200 dB means no noise at all."""
    return "equal" if value >= 200 else f"{value:.0f}"


def main() -> int:
    """Writes the page; returns 1 if there are no results."""
    if not ROWS.exists():
        sys.stderr.write(f"error: nothing was noted: {ROWS}\nhint: run the slow tests of tests/conformance\n")
        return 1
    PAGE.write_text(page([json.loads(line) for line in ROWS.read_text().splitlines()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
