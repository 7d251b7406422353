"""Plug-ins' records that cannot be used: one line names each, and the rest works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgewright.compile import steps
from edgewright.errors import UsageError
from edgewright.nouns.conversion_step import ConversionStep
from edgewright.nouns.metric import Metric
from edgewright.nouns.precision import Precision
from edgewright.record_names import names_of
from edgewright.records import Records

IMPORTS = """
from edgewright.nouns.conversion_step import ConversionStep
from edgewright.nouns.metric import Metric
from edgewright.nouns.precision import Precision, Tolerance
def function(*given): return None
"""
LIMITS = "tolerance=Tolerance(sqnr_db=1.0, relative=1.0)"
Metrics = Callable[[], Records[Metric]]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path for distributions."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(tmp_path) in str(getattr(module, "__file__", "")):
            del sys.modules[name]


def put(site: Path, group: str, name: str, record: str) -> None:
    """Installs a distribution with one record."""
    (site / "broken.py").write_text(f"{IMPORTS}\nRECORD = {record}\n")
    about = site / "broken-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{group}]\n{name} = broken:RECORD\n")


def metrics() -> Records[Metric]:
    return Records("edgewright.metrics", "metric", "edgewright.metrics", "METRIC", Metric)


@pytest.mark.parametrize(
    ("name", "record", "reason"),
    [
        ("near", "no_such_name", "NameError: name 'no_such_name' is not defined"),
        ("near", "Metric(name='near', title='x')", "TypeError: Missing required argument 'score'"),
        ("near", "Metric(name='near', title='x', score=None)", "its score is not a function"),
        ("near", "Metric(name='near', title='x', score=function, fit=3)", "its fit is not a function"),
        ("near", "Metric(name='near', title=7, score=function)", "Expected `str`, got `int`"),
        ("near", "Metric(name='far', title='x', score=function)", "the Metric broken:RECORD is named far"),
        ("near", "{'name': 'near'}", "broken:RECORD is not a Metric"),
        ("top1", "Metric(name='top1', title='x', score=function)", "edgewright's own metric has that name"),
    ],
)
def test_a_metric_that_cannot_be_used(site: Path, name: str, record: str, reason: str) -> None:
    put(site, "edgewright.metrics", name, record)
    found = metrics()
    assert [str(fault) for fault in found.faults()] == [f"{name} from broken 1.0 cannot be used: {reason}"]
    assert found.names() == ["auc", "f1", "mae", "mse", "top1", "top5"]
    assert found["top1"].title.startswith("share of samples")
    if name == "near":
        with pytest.raises(UsageError, match=r"metric near from broken 1\.0 cannot be used"):
            assert "near" in found


def test_a_metric_that_can_be_used(site: Path) -> None:
    put(site, "edgewright.metrics", "near", "Metric(name='near', title='x', score=function)")
    found = metrics()
    assert not found.faults()
    assert "near" in found
    assert [one.name for one in found.foreign()] == ["near"]


def test_a_precision_of_no_known_kind(site: Path) -> None:
    record = (
        f"Precision(name='odd', title='x', kind='odd', weight_bits=8, activation_bits=8, cost=0.0, {LIMITS})"
    )
    put(site, "edgewright.precisions", "odd", record)
    found = Records(
        "edgewright.precisions", "precision", "edgewright.precisions", "PRECISION", Precision
    ).faults()
    assert [fault.reason for fault in found] == ["Invalid enum value 'odd'"]


def test_a_step_without_a_function(site: Path) -> None:
    put(site, "edgewright.steps", "odd", "ConversionStep(name='odd', worker='onnx', run='odd')")
    found = Records("edgewright.steps", "conversion step", "edgewright.compile.steps", "STEP", ConversionStep)
    assert [fault.reason for fault in found.faults()] == ["its run is not a function"]
    assert found.foreign() == []


def run(site: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a process that finds these distributions."""
    environment = {**os.environ, "PYTHONPATH": str(site), "EDGEWRIGHT_HOME": str(home)}
    program = [sys.executable, "-c", "from edgewright.cli.main import run; run()", *arguments]
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60)


def test_a_command_names_them_and_goes_on(site: Path, tmp_path: Path) -> None:
    put(site, "edgewright.formats", "odd", "no_such_name")
    ran = run(site, tmp_path / "home", "targets", "--matrix")
    assert (ran.returncode, "savedmodel" in ran.stdout) == (0, True)
    assert ran.stderr.splitlines() == [
        "source format odd from broken 1.0 cannot be used: NameError: name 'no_such_name' is not defined",
        "`edgewright convert MODEL --target TARGET --precision PRECISION` takes one of these routes",
    ]


@pytest.mark.parametrize(
    ("group", "arguments"),
    [("edgewright.steps", ("targets", "--matrix")), ("edgewright.transports", ("targets",))],
)
def test_the_json_document_has_the_faults_of_every_kind(
    site: Path, tmp_path: Path, group: str, arguments: tuple[str, ...]
) -> None:
    put(site, group, "odd", "no_such_name")
    ran = run(site, tmp_path / "home", *arguments, "--json")
    (fault,) = json.loads(ran.stdout)["result"]["plugin_faults"]
    assert (fault["group"], fault["name"], fault["distribution"]) == (group, "odd", "broken 1.0")


@pytest.mark.parametrize(
    ("group", "option", "own"),
    [
        ("edgewright.metrics", "--metric", "auc, f1, mae, mse"),
        ("edgewright.precisions", "--precision", "as-is, fp16,"),
    ],
)
def test_help_names_what_there_is_without_an_import(
    site: Path, tmp_path: Path, group: str, option: str, own: str
) -> None:
    put(site, group, "odd", "no_such_name")
    (site / "broken.py").write_text("raise SystemExit('imported')")
    shown = run(site, tmp_path / "home", "deploy", "--help").stdout
    listed = shown[shown.index(option) :][:400]
    assert own in listed and "odd" in listed and "{" not in shown
    assert "odd" in names_of(group, group)


def test_a_step_that_cannot_be_used_stops_a_conversion_that_it_may_be_for(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(site, "edgewright.steps", "odd", "no_such_name")
    monkeypatch.setattr(
        steps,
        "STEPS",
        Records("edgewright.steps", "conversion step", "edgewright.compile.steps", "STEP", ConversionStep),
    )
    two = (("onnx", "a.b"), ("onnx", "a.c"))
    with pytest.raises(UsageError, match=r"conversion step odd from broken 1\.0 cannot be used: NameError"):
        steps.steps_of("onnxruntime", two)
    assert steps.steps_of("onnxruntime", two, as_is=True) == ()
    assert steps.steps_of("onnxruntime", two[:1]) == ()


def test_no_step_runs_on_a_file_that_stays_as_it_is(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(site, "edgewright.steps", "odd", "ConversionStep(name='odd', worker='onnx', run=function)")
    found = Records("edgewright.steps", "conversion step", "edgewright.compile.steps", "STEP", ConversionStep)
    monkeypatch.setattr(steps, "STEPS", found)
    two = (("onnx", "a.b"), ("onnx", "a.c"))
    assert steps.steps_of("tensorrt", two) == ("odd",)
    assert steps.steps_of("tensorrt", two, as_is=True) == ()
