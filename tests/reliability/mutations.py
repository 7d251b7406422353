"""Switches the board's safeguards off, one at a time, and runs the tests that must notice.

Usage: python tests/reliability/mutations.py [NAME...]
Each runs on a copy of the tree. Prints a table; exits 1 when a safeguard's loss goes unnoticed, or its text is gone.
Signatures and release counters wait until the board has them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from board_mutations import OF_THE_BOARD
from cap_mutations import OF_CAPS
from confinement_mutations import OF_THE_CONFINEMENT
from source_mutations import OF_SOURCES
from verdict_mutations import OF_THE_VERDICT

REPOSITORY = Path(__file__).parents[2]
COPIED = ("agent", "host", "targets", "profiles", "tests", "tools", "docs", "pyproject.toml")
QUICK = "not slow and not exhaustive"
SWITCHED_OFF = "EDGEWRIGHT_TEST_MUTATED"  # set in the tests' environment: that one fails is enough, none looks for the shortest way to


class Mutation(NamedTuple):
    """One safeguard switched off: `old` becomes `new` in `file`, and `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


LISTS = (OF_THE_BOARD, OF_CAPS, OF_THE_VERDICT, OF_THE_CONFINEMENT, OF_SOURCES)
MUTATIONS = [Mutation(*one) for listed in LISTS for one in listed]


def copy(folder: Path) -> None:
    """The tree, without what is made from it."""
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy(source, folder / name)


def apply(mutation: Mutation, folder: Path) -> str:
    """Change the copy. Returns what the file held."""
    path = folder / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        raise SystemExit(f"error: {mutation.file} does not hold this once: {mutation.old!r}")
    path.write_text(text.replace(mutation.old, mutation.new))
    return text


def run(tests: tuple[str, ...], folder: Path) -> tuple[int, str]:
    """pytest's exit code, and its last line."""
    roots = os.pathsep.join(str(folder / name) for name in ("agent", "host", "targets", "profiles"))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", QUICK, "-p", "no:cacheprovider", *tests]
    environment = {
        **os.environ,
        "PYTHONPATH": roots,
        "EDGEWRIGHT_FAULTS": str(folder / "faults.jsonl"),
        SWITCHED_OFF: "1",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr.strip()[-200:]
    return done.returncode, last


def noticed(mutation: Mutation, folder: Path) -> tuple[bool, str]:
    """Whether the tests fail in a copy with a safeguard switched off, and pytest's last line. The copy is as before then."""
    text = apply(mutation, folder)
    try:
        code, last = run(mutation.tests, folder)
    finally:
        (folder / mutation.file).write_text(text)
    return code == 1, last


def main(wanted: list[str]) -> int:
    """Run the mutations; the exit code."""
    chosen = [one for one in MUTATIONS if not wanted or one.name in wanted]
    missed = [] if chosen else ["no such mutation"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        copy(folder)
        code, last = run(tuple(dict.fromkeys(test for one in chosen for test in one.tests)), folder)
        if code:
            raise SystemExit(f"error: the tests fail with nothing switched off: {last}")
        sys.stdout.write("| safeguard switched off | noticed | seconds | by |\n|---|---|---|---|\n")
        for mutation in chosen:
            began = time.monotonic()
            found, last = noticed(mutation, folder)
            missed += [] if found else [mutation.name]
            words = f"{'yes' if found else 'NO'} | {time.monotonic() - began:.0f} | {last}"
            sys.stdout.write(f"| {mutation.name} | {words} |\n")
            sys.stdout.flush()
    for name in missed:
        sys.stderr.write(f"error: the tests do not notice the loss of: {name}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
