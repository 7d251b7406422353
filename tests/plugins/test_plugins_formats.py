"""Plug-ins' source formats that fail in a worker: one line names the plug-in, the function and its own error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgewright.compile.explain import read_the_source
from edgewright.compile.formats import FORMATS
from edgewright.compile.open_inputs import decided
from edgewright.compile.request import CompileRequest
from edgewright.compile.tasks.source import SourceRef, opened
from edgewright.compile.workers.private_environment import VARIABLES
from edgewright.nouns.model_input import ModelInput
from edgewright.plugins import Entry, Failed

FORMAT = """
import os
from types import SimpleNamespace
from edgewright.sdk import Route, TensorSpec
from edgewright.sdk.formats import Look, OpenAxes, SourceFormat
FAULT = os.environ.get("FAULT", "")

def fail(name):
    if FAULT == name:
        raise KeyError("version")
    if FAULT == f"{name} leaves":
        raise SystemExit(3)

def look(path, head):
    return Look([path]) if path.suffix == ".odd" else None

def opened(path, shapes, ends):
    fail("open")
    if FAULT == "nothing":
        return None
    spec = TensorSpec(name="x", shape=(1, 2), dtype="float32")
    return SimpleNamespace(inputs=(spec,), output_names=("y",), notes=(), loose=(), run=lambda sample: [sample[0] * 2])

def describe(model, path):
    fail("describe")
    return [{"odd": 1}] if FAULT == "rows" else 7 if FAULT == "number" else []

def axes(path, signature):
    fail("open_axes")
    return 3 if FAULT == "axes" else OpenAxes({})

FORMAT = SourceFormat(
    name="odd", title="an odd file", known_as=".odd", framework="onnx", tools=("numpy",), look=look, open=opened,
    suffixes=(".odd",), describe=describe, open_axes=axes,
    routes={"onnxruntime": Route(stages=(("onnx", "odd.stage"), ("onnx", "onnxruntime.finish")))},
)
"""
STAGE = """
def convert(context):
    from onnx import TensorProto, helper, save
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", ends[:1], ends[1:])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), context.folder / "model.onnx")
"""
ENTRY = Entry(name="odd", value="odd:FORMAT", distribution="odd 2.0")
BLAMED = "error: source format odd from odd 2.0 failed: "


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Installs a distribution, and writes a model of its format."""
    place = tmp_path_factory.mktemp("site")
    (place / "odd").mkdir()
    (place / "odd/__init__.py").write_text(FORMAT)
    (place / "odd/stage.py").write_text(STAGE)
    about = place / "odd-2.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 2.0\n")
    (about / "entry_points.txt").write_text("[edgewright.formats]\nodd = odd:FORMAT\n")
    (place / "net.odd").write_text("odd")
    return place


def convert(site: Path, home: Path, fault: str, *more: str) -> subprocess.CompletedProcess[str]:
    given = ["convert", str(site / "net.odd"), "--target", "onnxruntime", *more]
    program = [sys.executable, "-c", "from edgewright.cli.main import run; run()", *given]
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "EDGEWRIGHT_HOME": str(home),
        "FAULT": fault,
        VARIABLES: "FAULT",
    }
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=100)


def test_a_format_that_cannot_open(site: Path, tmp_path: Path) -> None:
    ran = convert(site, tmp_path, "open leaves")
    error, hint = ran.stderr.splitlines()[-2:]
    assert (ran.returncode, error) == (1, f"{BLAMED}open: SystemExit: 3")
    assert hint == "hint: update or uninstall odd, or report it to who made it"


def test_a_format_that_cannot_describe_converts_all_the_same(site: Path, tmp_path: Path) -> None:
    assert convert(site, tmp_path, "describe").returncode == 0
    ran = convert(site, tmp_path, "describe", "--explain")
    assert (ran.returncode, ran.stderr.splitlines()[-2]) == (1, f"{BLAMED}describe: KeyError: 'version'")


@pytest.fixture
def odd(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceRef]:
    """The model, with the format registered in this process."""
    monkeypatch.syspath_prepend(site)
    monkeypatch.setitem(FORMATS.__dict__, "_declared", {"odd": [ENTRY]})
    monkeypatch.setitem(FORMATS.__dict__, "_plugins", {"odd": ENTRY})
    yield SourceRef(path=site / "net.odd", format="odd")
    FORMATS._loaded.pop("odd", None)
    sys.modules.pop("odd", None)
    opened.cache_clear()


@pytest.mark.parametrize(
    ("fault", "function", "message"),
    [
        ("open", opened, "open: KeyError: 'version'"),
        ("nothing", opened, "open gave NoneType without inputs, output_names, notes, loose, run"),
        ("rows", read_the_source, "describe gave no rows of Operation: Object contains unknown field `odd`"),
        ("number", read_the_source, "describe gave no rows of Operation: 'int' object is not iterable"),
    ],
)
def test_what_a_worker_calls_is_named(
    odd: SourceRef, monkeypatch: pytest.MonkeyPatch, fault: str, function: Callable[..., Any], message: str
) -> None:
    monkeypatch.setenv("FAULT", fault)
    monkeypatch.setenv(VARIABLES, "FAULT")
    with pytest.raises(Failed) as error:
        function(odd)
    assert f"error: {error.value.message}" == BLAMED + message


@pytest.mark.parametrize(
    ("fault", "message"),
    [("open_axes", "open_axes: KeyError: 'version'"), ("axes", "open_axes gave int, not OpenAxes")],
)
def test_a_dry_run_goes_on_where_a_format_cannot_read_the_axes(
    odd: SourceRef, monkeypatch: pytest.MonkeyPatch, fault: str, message: str
) -> None:
    monkeypatch.setenv("FAULT", fault)
    monkeypatch.setenv(VARIABLES, "FAULT")
    request = CompileRequest(model=ModelInput(source=odd.path), target="onnxruntime")
    (note,) = decided(request, "odd")
    assert f"error: {note}" == BLAMED + message
