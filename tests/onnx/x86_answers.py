"""How models answer on the CPU that runs this, as a program: `x86_answers.py FOLDER` prints JSON.

It runs under an emulator too, whose programs still see the host's /proc/cpuinfo.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.compile.quality.verdict.decibels import sqnr_db
from edgewright.compile.sources import onnx_session
from edgewright.compile.sources.onnx import open_model
from edgewright.compile.tasks import source as jobs
from edgewright.nouns.conversion import Ends
from edgewright_targets._x86 import sums
from edgewright_targets.onnxruntime import runner

FLAGS = {"vnni": "fpu avx2 avx_vnni", "none": "fpu avx avx2 avx512f"}
CASES = [("none", ""), ("vnni", ""), ("none", "1"), ("vnni", "0")]  # flags of the CPU, EDGEWRIGHT_X86_VNNI


def main(folder: Path) -> None:
    """Prints what `answers` gives."""
    print(json.dumps(dict(answers(folder))))


def answers(folder: Path) -> Iterator[tuple[str, float]]:
    """(`MODEL, FLAGS, FORCED, WAY`, SQNR in dB) of every model of the folder."""
    sums._CPUINFO = str(folder / "cpuinfo")
    for flags, forced in CASES:
        Path(sums._CPUINFO).write_text(f"processor\t: 0\nflags\t\t: {FLAGS[flags]}\n")
        os.environ["EDGEWRIGHT_X86_VNNI"] = forced
        for place in sorted(item.parent for item in folder.glob("*/samples.npz")):
            # where the flags promise VNNI, a board's way shows that this CPU has none
            for way in (board,) if (flags, forced) == ("vnni", "") else (board, verdict, host, source):
                yield f"{place.name}, {flags}, {forced}, {way.__name__}", near(place, way(place))


def near(place: Path, run: Callable[[Any], Any]) -> float:
    """SQNR against the right answers, dB."""
    with np.load(place / "samples.npz") as samples:
        wanted = samples["wanted"].astype(np.float64)
        return sqnr_db(wanted, np.stack([run(one) for one in samples["x"]]).astype(np.float64))


def board(place: Path, options: dict[str, Any] | None = None) -> Callable[[Any], Any]:
    """As on a board."""
    ends = {"inputs": [{"name": "x", "dtype": "float32", "shape": [8, 64]}]}
    ends["outputs"] = [{"name": "y", "dtype": "float32", "shape": [8, 16]}]
    session = runner.load(str(place), {"entry": "model.onnx", **ends}, options or {})
    return lambda one: session.infer(session.feed([one.tobytes()]))[0]


def verdict(place: Path) -> Callable[[Any], Any]:
    """As a conversion's answers are checked."""
    return board(place, jobs._OPTIONS)


def host(place: Path) -> Callable[[Any], Any]:
    """As the host opens any model."""
    session = onnx_session.session(place / "model.onnx")
    return lambda one: session.run(None, {"x": one})[0]


def source(place: Path) -> Callable[[Any], Any]:
    """As a source, which is run unoptimised."""
    model = open_model(place / "model.onnx", "onnx", {}, Ends())
    return lambda one: model.run([one])[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
