"""The public names, what importing them loads, and what the library does not change."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import edgewright as ew
from edgewright.api import conversion, deployment, models
from edgewright.cli.commands.bench import bench as bench_command
from edgewright.cli.commands.infer import infer as infer_command
from edgewright.cli.commands.rollback import rollback as rollback_command
from edgewright.cli.project_source import ModelOptions

NAMES = [
    "Aborted",
    "Artifact",
    "ArtifactError",
    "AskPassword",
    "AuthError",
    "BenchResult",
    "Board",
    "BoardAnswer",
    "BoardError",
    "BoardMeasurements",
    "BoardOutcome",
    "BoardPlan",
    "BoardProblem",
    "Budget",
    "Check",
    "Compressed",
    "ConfigError",
    "ConversionError",
    "DataError",
    "DeployPlan",
    "DeployResult",
    "EdgewrightError",
    "ErrorReport",
    "ExportedProgram",
    "Fleet",
    "GateRefused",
    "Manifest",
    "Measurement",
    "ModelError",
    "ModelOptions",
    "ModelRequest",
    "OptimizeBudget",
    "OptimizedModel",
    "PlannedDeployment",
    "Progress",
    "ProgressEvent",
    "Protocol",
    "ProtocolError",
    "QUICK",
    "Ratio",
    "ReleasePolicy",
    "RollbackResult",
    "STANDARD",
    "Status",
    "StatusResult",
    "TrustError",
    "Unreachable",
    "UsageError",
    "bench",
    "compress_model",
    "convert",
    "deploy",
    "export_c",
    "load_artifact",
    "model_request",
    "optimize_model",
    "plan",
    "resume",
    "rollback",
    "status",
]  # a name that goes breaks programs


def test_the_public_names_are_these() -> None:
    assert sorted(ew.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(ew))
    assert all(getattr(ew, name) is not None for name in NAMES)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ew.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_each_name_is_imported_from_where_type_checkers_look() -> None:
    tree = ast.parse(Path(ew.__file__).read_text())
    typed = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("edgewright.")
        for alias in node.names
    }
    assert set(typed) == set(NAMES)
    assert {name: f"edgewright.{module}" for name, module in ew._MODULES.items()} == typed


def test_functions_can_be_sent_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(ew.deploy)) is deployment.deploy  # noqa: S301 - ours


def test_an_import_loads_nothing_but_itself() -> None:
    code = (
        "import sys; import edgewright; print(*[m for m in sys.modules if m.split('.')[0] in sys.argv[1:]])"
    )
    others = (
        "edgewright",
        "edgewright_agent",
        "msgspec",
        "numpy",
        "paramiko",
        "sqlalchemy",
        "rich",
        "typer",
        "platformdirs",
    )
    done = subprocess.run([sys.executable, "-c", code, *others], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["edgewright"]


def test_records_are_imported_without_frameworks_and_connections() -> None:
    code = "import sys; import edgewright as ew; ew.Fleet; ew.Artifact; ew.ReleasePolicy; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "paramiko", "sqlalchemy", "onnx", "rich", "typer"} & set(done.stdout.split())


def test_functions_are_imported_without_frameworks_handlers_and_output() -> None:
    code = (
        "import logging, signal, sys; before = signal.getsignal(signal.SIGINT)\n"
        "import edgewright as ew; [getattr(ew, name) for name in ew.__all__]\n"
        "assert signal.getsignal(signal.SIGINT) is before\n"
        "assert not logging.getLogger().handlers and not logging.getLogger('edgewright').handlers\n"
        "assert not {'onnx', 'tensorflow', 'torch', 'rich', 'typer', 'edgewright.cli'} & set(sys.modules), sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_options_of_a_model_have_one_list() -> None:
    typed = ModelOptions().options(None)
    assert set(typed) | {"name"} == set(models.ModelOptions.__annotations__)
    for function in (models.model_request, conversion.convert, deployment.plan, ew.optimize_model):
        (rest,) = [
            one for one in inspect.signature(function).parameters.values() if one.kind is one.VAR_KEYWORD
        ]
        assert "ModelOptions" in str(rest.annotation)
    with pytest.raises(TypeError, match="no such option of a model: tarket"):
        ew.convert("net.onnx", tarket="tflite")  # type: ignore[call-arg]


def test_threads_have_one_default_in_functions_and_commands() -> None:
    for function in (ew.bench, ew.rollback, bench_command, infer_command, rollback_command):
        assert inspect.signature(function).parameters["threads"].default is None


def test_each_option_and_each_name_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/python-api.md").read_text()
    code = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    words = {word for span in re.findall(r"`([^`]+)`", code) for word in re.findall(r"\w+", span)}
    functions = (
        ew.convert,
        ew.plan,
        deployment.deploy,
        ew.resume,
        ew.bench,
        ew.status,
        ew.rollback,
        ew.compress_model,
        ew.optimize_model,
    )
    parameters = {name for function in functions for name in inspect.signature(function).parameters}
    assert {*NAMES, *models.ModelOptions.__annotations__, *parameters} - words == set()
