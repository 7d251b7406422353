"""Code that the benchmarks share: interleaved rounds, CPU seconds of child processes, Markdown tables."""

from __future__ import annotations

import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO

Figures = dict[str, float]


@dataclass(frozen=True)
class Spent:
    """The cost of a finished process: wall and CPU seconds (user + system, including its waited-for descendants).

    Attributes:
        output: its stdout.
        peak_mb: greatest resident memory of any one process of the tree, MB.
    """

    wall_s: float
    cpu_s: float
    output: str
    peak_mb: float = 0.0


class BenchmarkError(SystemExit):
    """A benchmark cannot continue because a contender failed."""


def process(argv: Sequence[str]) -> Spent:
    """Runs a process to its end. Python keeps its bytecode there, as it does on a user's machine.

    Raises:
        BenchmarkError: it failed; the message quotes the end of its stderr.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        with subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment
        ) as child:
            _, status, usage = os.wait4(child.pid, 0)
            wall_s = time.perf_counter() - began
            child.returncode = os.waitstatus_to_exitcode(status)
        said = [read_all(file) for file in (output, errors)]
    if child.returncode:
        raise BenchmarkError(f"{argv[0]} ended with {child.returncode}: {''.join(said)[-2000:]}")
    return Spent(wall_s, usage.ru_utime + usage.ru_stime, said[0], usage.ru_maxrss * 1024 / 1e6)


def read_all(file: IO[bytes]) -> str:
    """The contents of a process's output file."""
    file.seek(0)
    return file.read().decode("utf-8", "replace")


def interleave(
    contenders: Mapping[str, Callable[[int], Figures]], rounds: int, *, warmup: bool = True
) -> dict[str, list[Figures]]:
    """Runs every contender once per round (A B C, B C A, ...), so that disturbances affect all of them.

    Args:
        contenders: name -> function that measures it once; called with the round's number, -1 for the warm-up.
        warmup: add a round first that is not counted.
    """
    names = list(contenders)
    found: dict[str, list[Figures]] = {name: [] for name in names}
    for number in range(-1 if warmup else 0, rounds):
        turn = max(0, number) % len(names)
        for name in names[turn:] + names[:turn]:
            figures = contenders[name](number)
            shown = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
            say(f"{'warm-up' if number < 0 else f'round {number + 1} of {rounds}'}: {name}: {shown}")
            if number >= 0:
                found[name].append(figures)
    return found


def median(runs: Iterable[Figures], key: str) -> float:
    """The median of one figure over the rounds."""
    return statistics.median(figures[key] for figures in runs)


def ratios(runs: Sequence[Figures], base: Sequence[Figures], key: str) -> str:
    """The median of the rounds' ratios, with the least and the greatest.

    Influences that change from round to round, such as the machine's load, affect both figures and cancel out.
    """
    found = [mine[key] / other[key] for mine, other in zip(runs, base, strict=True) if other[key]]
    if not found:
        return "-"
    return f"{statistics.median(found):.2f} ({min(found):.2f}-{max(found):.2f})"


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion."""
    if not of:
        return 0.0, 1.0
    part, z2 = hits / of, 1.959964**2
    centre, half = part + z2 / (2 * of), (z2 * (part * (1 - part) / of + z2 / (4 * of**2))) ** 0.5
    return max(0.0, (centre - half) / (1 + z2 / of)), min(1.0, (centre + half) / (1 + z2 / of))


def clopper_pearson(hits: int, of: int) -> tuple[float, float]:
    """The exact 95 % interval of a proportion."""

    def at_most(count: int, part: float) -> float:
        """The probability of `hits` or fewer."""
        logs = (math.log(part), math.log1p(-part))
        terms = (
            math.lgamma(of + 1)
            - math.lgamma(k + 1)
            - math.lgamma(of - k + 1)
            + k * logs[0]
            + (of - k) * logs[1]
            for k in range(count + 1)
        )
        return math.fsum(map(math.exp, terms))

    def solve(count: int, chance: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if at_most(count, middle) > chance else (low, middle)
        return (low + high) / 2

    return (solve(hits - 1, 0.975) if hits else 0.0), (solve(hits, 0.025) if hits < of else 1.0)


def report(title: str, found: Mapping[str, Sequence[Figures]], keys: Mapping[str, str], *, base: str) -> None:
    """Prints a table with one row per contender: medians, and for each figure the ratio to that of `base`.

    Args:
        keys: figure -> heading with its unit. A figure that a contender lacks is a dash.
    """
    heads = [part for heading in keys.values() for part in (heading, f"/ {base}")]
    rows = []
    for name, runs in found.items():
        cells = []
        for key in keys:
            if not runs or key not in runs[0]:
                cells += ["-", "-"]
                continue
            cells.append(number(median(runs, key)))
            shown = name != base and key in found[base][0]
            cells.append(ratios(runs, found[base], key) if shown else "-")
        rows.append([name, *cells])
    rounds = len(found[base])
    print(
        f"### {title}\n\n{machine()}; medians of {rounds} interleaved rounds, ratios paired by round: median (least-greatest).\n"
    )
    print(markdown(["", *heads], rows), flush=True)


def markdown(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def number(value: float) -> str:
    """A figure with three or four significant digits."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def machine() -> str:
    """This machine in one line, without its name."""
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()}-core {platform.machine()}, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, load {load:.1f} at the end"
    )


def version(*distributions: str) -> str:
    """Names and versions of installed distributions."""
    return ", ".join(f"{name} {metadata.version(name)}" for name in distributions)


def program(name: str) -> str:
    """The path of the program `name` in this Python's environment."""
    return str(Path(sys.executable).parent / name)


def say(text: str) -> None:
    """Prints progress to stderr."""
    print(text, file=sys.stderr, flush=True)
