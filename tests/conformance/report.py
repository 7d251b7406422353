"""Writes docs/models.md: the results of the `light_*.onnx` graphs on each target (see `light_models`).

Usage: PYTHONPATH=tests/kit python tests/conformance/report.py [NAME...]
Each graph, the smallest first, is converted for every target, deployed to a simulated board where that can be given the
runtime, and compared there. What was found is kept in `.pytest_cache/models.jsonl`, so that names can be tried one by
one; the page is written of it after each. It wants the toolchains that the targets name (`edgewright toolchain install`),
and all of it an hour, 12 GB of disk and 12 GB of memory.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import light_models
import numpy as np
from flat_requests import compile_request, deploy_request

from edgewright import targets
from edgewright.compile.pipeline import compile_model
from edgewright.compile.quality.verdict.refusal import Unlike
from edgewright.compile.toolchains import environments, pythons
from edgewright.compile.workers.pool import Workers
from edgewright.config import fleet as fleets
from edgewright.config import home
from edgewright.deployments.deployment import deploy
from edgewright.errors import EdgewrightError
from edgewright.lab import boards
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.board import Fleet
from edgewright.nouns.measurement import Protocol
from edgewright.precisions import PRECISIONS as KNOWN
from edgewright.store.history import History

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "models.md"
ROWS = REPOSITORY / ".pytest_cache" / "models.jsonl"
PRECISIONS = ("fp32", "int8")
MEMORY_MB = 12_000  # of a worker and its children
TOOLS = ("onnx", "onnxruntime", "openvino", "nncf", "ai-edge-quantizer")
BRIEF = Protocol(name="brief", rounds=1, warmup_s=0.01, steady_s=0.05, min_samples=11, limit_s=120.0)
PACKAGE = {"onnx2tf": "onnx2tf", "openvino-2021": "openvino"}  # a toolchain's converter
HEAD = """# Well-known models

<!-- written by `tests/conformance/report.py` from what it tried: do not edit -->

The `light_*.onnx` graphs that come with the onnx package, their weights replaced: He-normal from a seed, scaled layer by
layer so that two pictures get two answers (`tests/conformance/light_models.py`). Each was converted, deployed to a
simulated board and compared there with what ONNX Runtime answers for the source, on 8 pictures. A figure is the
signal-to-noise ratio of the answers in dB: 60 and more is right to the last digits of a float.
*host*: compared on the host alone, as there is no such board here. *no, 6.0*: refused, because the answers are as near as
this and {rule}. *no (1)*: refused, the reason is below.

Random weights forgive less than trained ones: nothing in them is redundant, and the noise of one layer is the next one's
signal. So a refused int8 says that such a graph can be refused, and not how a trained one does.
"""


class Boards:
    """Simulated boards for one graph: their disks are removed with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fleets: dict[str, Fleet] = {}
        self.labs: list[str] = []

    def fleet(self, target: str) -> Fleet | None:
        """A fleet of one board whose Python the target has a runtime for; None: this machine cannot pose as such a board."""
        python = python_for(target)
        if python is None:
            return None
        if python not in self.fleets:
            lab = f"models-{os.getpid()}-{len(self.labs)}"
            path = self.folder / f"{lab}.toml"
            boards.up(1, fleet_path=path, name=lab, python=python)
            self.labs.append(lab)
            self.fleets[python] = fleets.load(path)
        return self.fleets[python]

    def down(self) -> None:
        """Ends the boards."""
        for lab in self.labs:
            boards.down(lab)


def python_for(target: str) -> str | None:
    """The path of a Python of this machine that a target has a runtime for: this one, else the newest."""
    row = targets.load(target)
    glibc = platform.libc_ver()[1]
    here = pythons.ask(Path(sys.executable))
    for python in [*([here] if here else []), *pythons.found()]:
        if row.runtimes_for(python.version.rpartition(".")[0], python.machine, glibc):
            return str(python.path.resolve())
    return None


class Tried:
    """One graph with what it needs: its file, pictures for calibration, workers, boards."""

    def __init__(self, name: str, boards: Boards, workers: Workers) -> None:
        self.name, self.boards, self.workers = name, boards, workers
        self.file, self.data = boards.folder / f"{name}.onnx", boards.folder / f"{name}.npz"
        light_models.make(name, self.file)
        np.savez(self.data, **{light_models.input_name(self.file): light_models.pictures(16, seed=11)})

    def cell(self, target: str, precision: str) -> dict[str, Any]:
        """One result: `db` is None if there is no figure, `where` is empty if nothing was made."""
        began = time.monotonic()
        found = self.found(target, precision)
        return {
            "model": self.name, "mb": self.file.stat().st_size / 1e6, "target": target, "precision": precision, **found,
            "seconds": round(time.monotonic() - began, 1),
        }  # fmt: skip

    def found(self, target: str, precision: str) -> dict[str, Any]:
        """The result of the graph."""
        request = compile_request(
            source=self.file, target=target, precision=precision, calibration=self.data, goldens=8
        )
        try:
            artifact = compile_model(request, workers=self.workers)
        except Unlike as error:
            return {"db": error.parity.sqnr_db, "where": "", "why": ""}
        except EdgewrightError as error:
            return {"db": None, "where": "", "why": error.message}
        fleet = self.boards.fleet(target)
        if fleet is None:
            return {"db": artifact.manifest.parity.sqnr_db, "where": "host", "why": ""}
        return self.on_board(artifact, fleet)

    def on_board(self, artifact: Artifact, fleet: Fleet) -> dict[str, Any]:
        """The result of an artifact on the board."""
        request = deploy_request(
            fleet=fleet, boards=tuple(fleet.boards.values()), artifact=artifact,
            name=f"{self.name}-{artifact.manifest.target}-{artifact.manifest.precision}", protocol=BRIEF, allow_synthetic=True,
        )  # fmt: skip
        (outcome,) = deploy(request, history=History(), workers=self.workers)
        answers = [check.value for check in outcome.checks if check.name == "answers"]
        wrong = [check.name for check in outcome.checks if not check.ok]
        # a measurement that was invalid, because this machine was busy, says nothing about the answers
        if outcome.outcome == "committed" or (answers and wrong == ["validity"]):
            return {"db": answers[0], "where": "board", "why": ""}
        return {"db": None, "where": "board", "why": outcome.message.replace(outcome.board, "the board")}


def run(names: list[str]) -> None:
    """Tries graphs; keeps each result, and writes the page after each."""
    if missing := sorted(
        set(wanted_toolchains()) - {one.name for one in environments.listing() if one.state == "ready"}
    ):
        sys.exit(f"error: toolchains are not installed: {', '.join(missing)}")
    for name in sorted(names, key=light_models.megabytes):
        with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
            made = Boards(Path(scratch))
            stack.callback(made.down)
            log = home.folder("logs") / "convert.log"
            workers = stack.enter_context(Workers(log, memory_mb=MEMORY_MB))
            tried = Tried(name, made, workers)
            for target in targets.names():
                for precision in PRECISIONS:
                    if precision in targets.load(target).precisions_from("onnx"):
                        keep(tried.cell(target, precision))
        PAGE.write_text(page([json.loads(line) for line in ROWS.read_text().splitlines()]))


def wanted_toolchains() -> list[str]:
    """The toolchains that the targets' routes from ONNX need."""
    return [one for name in targets.names() for one in targets.load(name).routes["onnx"].toolchains]


def keep(row: dict[str, Any]) -> None:
    """Adds a row to the results, and prints it."""
    ROWS.parent.mkdir(exist_ok=True)
    with ROWS.open("a") as file:
        file.write(json.dumps(row) + "\n")
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {row}\n")


def page(rows: list[dict[str, Any]]) -> str:
    """The page with each cell's last row."""
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
    notes = "\nWhy not:\n\n" + "\n".join(f"{number}. {why}" for why, number in reasons.items()) + "\n"
    tools = ", ".join(f"{name} {version(name)}" for name in TOOLS)
    made = ", ".join(
        f"{name} {environments.toolchain(name).versions[PACKAGE[name]]}" for name in sorted(PACKAGE)
    )
    return (
        f"{HEAD.format(rule=rule())}\n"
        + "\n".join(lines)
        + f"\n{notes if reasons else ''}\nMade with {tools}; {made}.\n"
    )


def rule() -> str:
    """How close outputs have to be."""
    return " and ".join(
        f"{name} needs {KNOWN[name].tolerance.sqnr_db:g} dB and no error above {KNOWN[name].tolerance.relative:g} of the largest answer"
        for name in PRECISIONS
    )


def shown(row: dict[str, Any] | None, reasons: dict[str, int]) -> str:
    """The text of a cell; reasons are numbered."""
    if row is None:
        return "-"
    if row["db"] is None:
        return f"no ({reasons.setdefault(row['why'], len(reasons) + 1)})"
    if not row["where"]:
        return f"no, {row['db']:.1f}"
    return f"{row['db']:.0f}" + (" *host*" if row["where"] == "host" else "")


if __name__ == "__main__":
    run(sys.argv[1:] or light_models.names())
