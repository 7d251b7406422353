"""Measures the command line: help next to a bare Typer app, and a second `convert` with the same inputs."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import measuring
from measuring import Figures

HERE = Path(__file__).parent
DIGITS = HERE.parent / "examples" / "digits"
EDGEWRIGHT = measuring.program("edgewright")
KEYS = {"wall_ms": "wall ms", "cpu_ms": "CPU ms"}


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--model", type=Path, default=DIGITS / "digits-v1.keras")
    given = parser.parse_args()
    typer = str(HERE / "bare_typer.py")
    for arguments in (["--help"], ["deploy", "--help"]):
        contenders = {
            "python -c pass": command(sys.executable, "-c", "pass"),
            "bare Typer": command(sys.executable, typer, *arguments),
            "bare Typer, rich help": command(sys.executable, typer, "--rich", *arguments),
            "edgewright": command(EDGEWRIGHT, *arguments),
        }
        found = measuring.interleave(contenders, given.rounds)
        title = f"`{' '.join(arguments)}`, {measuring.version('typer', 'click')}"
        measuring.report(title, found, KEYS, base="bare Typer")
    with tempfile.TemporaryDirectory(prefix="edgewright-bench-") as home:
        os.environ["EDGEWRIGHT_HOME"] = home
        cached(given.model, given.rounds)


def cached(model: Path, rounds: int) -> None:
    """`convert` with an artifact that is already in the store."""
    fp32 = [EDGEWRIGHT, "convert", str(model), "--target", "tflite", "--precision", "fp32"]
    measuring.say("converting for the first time")
    first = measuring.process(fp32)
    contenders = {"edgewright --help": command(EDGEWRIGHT, "--help"), "second convert": command(*fp32)}
    found = measuring.interleave(contenders, rounds)
    measuring.report(f"`convert {model.name}` again", found, KEYS, base="second convert")
    print(f"The first one, once: {first.wall_s:.2f} s, {first.cpu_s:.2f} CPU s.\n")


def command(*argv: str) -> Callable[[int], Figures]:
    """Measures one command line, from its start to its end."""

    def measure(_: int) -> Figures:
        spent = measuring.process(argv)
        return {"wall_ms": spent.wall_s * 1000, "cpu_ms": spent.cpu_s * 1000}

    return measure


if __name__ == "__main__":
    main()
