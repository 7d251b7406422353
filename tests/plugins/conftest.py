"""The example of docs/add-a-target.md, built as a wheel and installed next to the host, with broken plug-ins."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs/add-a-target.md"
# the command line; these tests check how a target is found, not how fast it is on a busy machine
MAIN = """
import msgspec
from edgewright.cli.main import run
from edgewright.deployments import gate
from edgewright.measure import validity
from edgewright.nouns.measurement import PROTOCOLS
PROTOCOLS["quick"] = msgspec.structs.replace(PROTOCOLS["quick"], rounds=1, warmup_s=0.01, steady_s=0.05)
validity.CONTENTION_INVALID, gate.MAX_SLOWDOWN = 2.0, 1000.0
run()
"""
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


class Installed(NamedTuple):
    """The example's wheel, and the folder with the installed example and the broken plug-ins."""

    wheel: Path
    site: Path


def page_files() -> dict[str, str]:
    """Name -> text of the files on the page: a name in backticks on a separate line, then a block."""
    found = re.findall(r"^`(\S+)`\n\n```\w+\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return dict(found)


def broken(site: Path, name: str, record: str, **files: str) -> None:
    """Installs a plug-in of one package by hand, as `<name> 1.0`."""
    package, about = site / name, site / f"{name}-1.0.dist-info"
    package.mkdir()
    about.mkdir()
    for file, text in {"__init__": "", "target": record, **files}.items():
        (package / f"{file}.py").write_text(text)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    entry = "tflite" if name == "taker" else name
    (about / "entry_points.txt").write_text(f"[edgewright.targets]\n{entry} = {name}.target:TARGET\n")


RECORD = """
from edgewright.sdk import Route, Target
TARGET = Target(
    name="{name}", title="Broken", entry="m", precisions=("fp32",), framework="onnx",
    routes={{"onnx": Route(stages=(("onnx", "{name}.finish"),))}},
)
"""
RUNNER = "def import_runtime(): pass\ndef accelerators(): pass\ndef prepare(): pass\n"


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The example's wheel, installed by pip without an index, and three plug-ins that cannot be used."""
    place = tmp_path_factory.mktemp("example")
    for name, text in page_files().items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text(text)
    build = ["wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", place / "dist", place]
    subprocess.run([*PIP, *build], check=True, capture_output=True)
    (wheel,) = (place / "dist").glob("*.whl")
    site = place / "site"
    subprocess.run(
        [*PIP, "install", "--no-deps", "--no-index", "--target", site, wheel], check=True, capture_output=True
    )
    broken(site, "importer", "import no_such_module")
    broken(site, "taker", RECORD.format(name="tflite"))
    broken(site, "lacker", RECORD.format(name="lacker"), finish="def convert(context): ...", runner=RUNNER)
    return Installed(wheel, site)


Edgewright = Callable[..., Any]


@pytest.fixture(scope="module")
def edgewright(installed: Installed, module_home: Path) -> Edgewright:
    """`edgewright(*arguments, code=0)`: the document of the command line, in a process that finds the plug-ins."""

    def run(*arguments: object, code: int = 0) -> Any:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *map(str, arguments), "--json"],
            env={**os.environ, "PYTHONPATH": str(installed.site)},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        document = json.loads(done.stdout)
        return document["error"] if document["result"] is None else document["result"]

    return run


@pytest.fixture(scope="module")
def gemm(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """`gemm(seed)`: an ONNX model of one Gemm, 4 numbers to 3."""
    from onnx import TensorProto, helper, numpy_helper, save

    place = tmp_path_factory.mktemp("models")

    def make(seed: int) -> Path:
        random = np.random.default_rng(seed)
        held = [
            numpy_helper.from_array(random.normal(size=size).astype(np.float32), name)
            for name, size in (("w", (4, 3)), ("b", (3,)))
        ]
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
            for name, size in (("x", 4), ("y", 3))
        ]
        node = helper.make_node("Gemm", ["x", "w", "b"], ["y"])
        graph = helper.make_graph([node], "gemm", ends[:1], ends[1:], held)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        path = place / f"gemm{seed}.onnx"
        save(model, str(path))
        return path

    return make
