"""Writes docs/models.md: what each target makes of the `light_*.onnx` graphs (see `light_models`).

Usage: python tests/conformance/report.py [NAME...]
Each graph is converted for every target, deployed to a simulated board where that can be given the runtime, and
compared there. What was found is kept in `.pytest_cache/models.jsonl`, so that names can be tried one by one. Toolchains
are used where they are installed (`edgewright toolchain install`). All of it takes half an hour and 10 GB of disk.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import light_models
import numpy as np

from edgewright import targets
from edgewright.compile.request import CompileRequest
from edgewright.compile.run import compile_model
from edgewright.compile.workers import Workers
from edgewright.config import fleet as fleets
from edgewright.config import home
from edgewright.deploy.deploy import deploy
from edgewright.deploy.request import DeployRequest
from edgewright.errors import EdgewrightError
from edgewright.lab import boards
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.board import Fleet
from edgewright.nouns.measurement import Protocol
from edgewright.store.history import History

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "models.md"
ROWS = REPOSITORY / ".pytest_cache" / "models.jsonl"
PRECISIONS = ("fp32", "int8")
UNTRIED = "not tried"
LARGEST_MB = 120  # of a graph that is calibrated here: beyond it takes gigabytes and minutes
BRIEF = Protocol(name="brief", rounds=1, warmup_s=0.01, steady_s=0.05, min_samples=11, limit_s=120.0)
HEAD = """# Well-known models

<!-- written by `tests/conformance/report.py` from what it tried: do not edit -->

The `light_*.onnx` graphs that come with the onnx package, their weights replaced: He-normal from a seed, scaled layer by
layer so that two pictures get two answers (`tests/conformance/light_models.py`). Each was converted, deployed to a
simulated board and compared there with what ONNX Runtime answers for the source, on 8 pictures. A figure is the
signal-to-noise ratio of the answers in dB: 60 and more is right to the last digits of a float, int8 needs 9.
*host*: compared on the host alone, as there is no such board here. *no*: refused, the reason is below. *too large*: not
tried, calibration would take gigabytes here.

Random weights forgive less than trained ones: nothing in them is redundant, and the noise of one layer is the next one's
signal. So a refused int8 says that such a graph can be refused, and not how a trained one does.
"""


class Tried:
    """What one run needs: workers, a fleet of one board."""

    def __init__(self, fleet: Fleet, workers: Workers, folder: Path) -> None:
        self.fleet, self.workers, self.folder = fleet, workers, folder

    def graph(self, name: str) -> tuple[Path, Path]:
        """A graph's file and its calibration pictures."""
        file, data = self.folder / f"{name}.onnx", self.folder / f"{name}.npz"
        light_models.make(name, file)
        np.savez(data, **{light_models.input_name(file): light_models.pictures(16, seed=11)})
        return file, data

    def cell(self, name: str, file: Path, data: Path, target: str, precision: str) -> dict[str, Any]:
        """One row of what was found."""
        row = {"model": name, "mb": file.stat().st_size / 1e6, "target": target, "precision": precision}
        if precision == "int8" and row["mb"] > LARGEST_MB:
            return {**row, "db": None, "where": "", "why": UNTRIED}
        request = CompileRequest(source=file, target=target, precision=precision, calibration=data, goldens=8)
        try:
            artifact = compile_model(request, workers=self.workers)
        except EdgewrightError as error:
            return {**row, "db": None, "where": "", "why": error.message}
        measured = artifact.manifest.parity.sqnr_db
        if not targets.load(target).runtimes_for("3.11", "x86_64", "2.36"):
            return {**row, "db": measured, "where": "host", "why": ""}
        return {**row, **self.on_board(artifact, name, target, precision)}

    def on_board(self, artifact: Artifact, name: str, target: str, precision: str) -> dict[str, Any]:
        """What became of an artifact on the board."""
        request = DeployRequest(
            fleet=self.fleet, boards=tuple(self.fleet.boards.values()), model=f"{name}-{target}-{precision}",
            artifact=artifact, protocol=BRIEF, allow_synthetic=True,
        )  # fmt: skip
        (outcome,) = deploy(request, history=History(), workers=self.workers)
        answers = [check.value for check in outcome.checks if check.name == "answers"]
        if outcome.outcome != "committed":
            return {"db": None, "where": "board", "why": outcome.message.replace(outcome.board, "the board")}
        return {"db": answers[0], "where": "board", "why": ""}


def run(names: list[str]) -> None:
    """Tries graphs; what was found is kept, and the page written after each."""
    with tempfile.TemporaryDirectory() as scratch:
        lab, folder = f"models-{os.getpid()}", Path(scratch)
        path = folder / "fleet.toml"
        boards.up(1, fleet_path=path, profiles=("generic-x86_64",), name=lab)
        try:
            with Workers(home.folder("logs") / "convert.log") as workers:
                tried = Tried(fleets.load(path), workers, folder)
                for name in names:
                    file, data = tried.graph(name)
                    for target in targets.names():
                        for precision in PRECISIONS:
                            if precision in targets.load(target).precisions_from("onnx"):
                                keep(tried.cell(name, file, data, target, precision))
                    file.unlink()
                    PAGE.write_text(page([json.loads(line) for line in ROWS.read_text().splitlines()]))
        finally:
            boards.down(lab)


def keep(row: dict[str, Any]) -> None:
    """Adds a row to what was found, and says so."""
    ROWS.parent.mkdir(exist_ok=True)
    with ROWS.open("a") as file:
        file.write(json.dumps(row) + "\n")
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {row}\n")


def page(rows: list[dict[str, Any]]) -> str:
    """The page, of each cell's last row."""
    found = {(row["model"], row["target"], row["precision"]): row for row in rows}
    columns = sorted(
        {(target, precision) for _, target, precision in found},
        key=lambda one: (one[0], PRECISIONS.index(one[1])),
    )
    reasons: dict[str, int] = {}
    lines = [
        "| graph | MB | " + " | ".join(f"{target} {precision}" for target, precision in columns) + " |",
        "|---|---:|" + "---|" * len(columns),
    ]
    for model in sorted({row["model"] for row in rows}):
        cells = [shown(found.get((model, *column)), reasons) for column in columns]
        size = next(row["mb"] for row in rows if row["model"] == model)
        lines.append(f"| {model} | {size:.0f} | " + " | ".join(cells) + " |")
    notes = "\n".join(f"{number}. {why}" for why, number in reasons.items())
    tools = ", ".join(f"{name} {version(name)}" for name in ("onnx", "onnxruntime", "openvino", "nncf"))
    return f"{HEAD}\n" + "\n".join(lines) + f"\n\nWhy not:\n\n{notes}\n\nMade with {tools}.\n"


def shown(row: dict[str, Any] | None, reasons: dict[str, int]) -> str:
    """The text of a cell; a reason is numbered."""
    if row is None:
        return "-"
    if row["why"] == UNTRIED:
        return "too large"
    if row["db"] is None:
        return f"no ({reasons.setdefault(row['why'], len(reasons) + 1)})"
    return f"{row['db']:.0f}" + (" *host*" if row["where"] == "host" else "")


if __name__ == "__main__":
    run(sys.argv[1:] or light_models.names())
