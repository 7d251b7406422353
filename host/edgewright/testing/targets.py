"""The test suite for targets: record and modules fit together, and the runner meets the contract with boards.

Every function raises AssertionError that states the fault. None needs a test framework.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgewright import targets
from edgewright.compile.formats import FORMATS
from edgewright.connect.agent import runner_package
from edgewright.nouns.cpu import of_arch
from edgewright.nouns.target import Target
from edgewright.precisions import PRECISIONS
from edgewright.python_syntax import parse
from edgewright.testing import runner_checks
from edgewright.testing.runner_checks import Ready
from edgewright_agent import protocol

FUNCTIONS = {
    "import_runtime": [],
    "accelerators": [],
    "prepare": ["folder", "manifest", "options"],
    "load": ["folder", "manifest", "options"],
}
OPTIONAL = {"prepares": ["options"], "environment": ["options"]}
SESSION = {"feed": ["tensors"], "infer": ["feed"], "read": ["outputs"], "close": []}
_ALONE = """
import importlib, importlib.util, json, sys
sources = json.loads(sys.stdin.read())
class Finder(object):
    def find_spec(self, name, path=None, target=None):
        base = name.replace(".", "/")
        for file in (base + "/__init__.py", base + ".py"):
            if file in sources:
                return importlib.util.spec_from_loader(name, self, origin=file, is_package=file.endswith("/__init__.py"))
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(compile(sources[module.__spec__.origin], module.__spec__.origin, "exec"), module.__dict__)
sys.meta_path.insert(0, Finder())
runner = importlib.import_module(sys.argv[1])
try:
    runner.import_runtime()
except (ImportError, OSError):
    pass
"""


def check(name: str) -> None:
    """Runs every check that needs no model and no runtime."""
    check_record(name)
    check_stages(name)
    check_runner(name)
    check_runner_alone(name)


def check_record(name: str) -> None:
    """Checks that everything a target's record names exists, and that the record is consistent."""
    target = targets.load(name)
    assert set(target.precisions) <= set(PRECISIONS), set(target.precisions) - set(PRECISIONS)
    assert set(target.sources) <= set(FORMATS), set(target.sources) - set(FORMATS)
    assert target.calibration_methods[0] == "minmax", target.calibration_methods
    assert "cpu" not in target.accelerators[1:], target.accelerators
    assert set(target.hardware) <= set(target.accelerators), target.hardware
    assert ("as-is" in target.precisions) == bool(target.as_is), "precision as-is and `as_is` go together"
    assert all(of_arch(arch) for arch in target.compiles_for), f"no CPU is known of {target.compiles_for}"
    for route in (*target.routes.values(), *target.as_is.values()):
        assert set(route.precisions or ()) <= set(target.precisions), route
    for row in target.runtimes:
        assert target.caps_of(row.distribution, row.version) == row.caps, row
    calibrated = any(PRECISIONS[one].calibrated for one in target.precisions)
    assert target.steps or not calibrated, "a target with calibrated precisions has `steps`"
    assert target.layers or "int8-mixed" not in target.precisions, "int8-mixed needs `layers`"


def check_stages(name: str) -> None:
    """Checks that every module that the record names exists and takes edgewright's arguments, without importing its frameworks."""
    target = targets.load(name)
    layers = (target.layers.module,) if target.layers else ()
    for module in (*target.stages, *layers, *filter(None, (target.steps, target.runs_on_host))):
        assert find_spec(targets.module_name(module)), f"no such module: {module}"
    for stage in target.stages:
        convert = importlib.import_module(targets.module_name(stage)).convert
        assert len(inspect.signature(convert).parameters) == 1, (
            f"{stage}.convert takes the context and nothing else"
        )


def check_runner(name: str) -> None:
    """Checks that the runner has the functions that the agent calls, and can be packed."""
    runner = targets.runner(name)
    for function, wanted in FUNCTIONS.items():
        assert parameters(getattr(runner, function)) == wanted, f"{function}: {wanted}"
    for function, wanted in OPTIONAL.items():
        assert not hasattr(runner, function) or parameters(getattr(runner, function)) == wanted, function
    assert hasattr(runner, "prepares") == hasattr(runner, "environment"), (
        "`prepares` and `environment` go together"
    )
    for method, wanted in SESSION.items():
        assert parameters(getattr(runner.Session, method)) == wanted, f"Session.{method}: {wanted}"
    packed = runner_package.package(name)
    assert len(packed.data) < protocol.MAX_RUNNER / 8, f"{len(packed.data)} bytes"
    for file, text in json.loads(packed.data).items():
        _check_imports(file, text)


def check_runner_alone(name: str, python: str = sys.executable) -> None:
    """Checks that the packed runner imports with the standard library only, and that a missing runtime is an ImportError or an OSError.

    Args:
        python: another interpreter, such as your oldest board's; edgewright's own runners support 3.6.
    """
    module = f"edgewright_targets.{name}.runner"
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-c", _ALONE, module],
        input=runner_package.package(name).data, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode(errors="replace")


def check_answers(
    name: str, model: Path | str, *, precision: str = "fp32", calibration: Path | str | None = "synthetic"
) -> None:
    """Converts a model, and checks the runner against the agent's expectations.

    Args:
        model: any that the target accepts, with outputs that depend on its inputs.
    """
    from edgewright.compile.data.data_hash import calibration_of
    from edgewright.compile.pipeline import compile_model
    from edgewright.compile.request import CompileRequest
    from edgewright.nouns.model_input import ModelInput

    given = calibration_of(calibration if calibration in (None, "synthetic") else Path(str(calibration)))
    request = CompileRequest(
        model=ModelInput(source=Path(model), calibration=given), target=name, precision=precision
    )
    check_ready(ready(name, compile_model(request).folder))


def ready(name: str, folder: Path) -> Ready:
    """An artifact with its runner, or the runner's stand-in if the runtime is not installed."""
    target = targets.load(name)
    return Ready(runs(target), folder, target.accelerators)


def runs(target: Target) -> Any:
    """The module that runs a target's artifacts on this machine."""
    runner = targets.runner(target.name)
    try:
        runner.import_runtime()
    except (ImportError, OSError):
        return importlib.import_module(targets.module_name(target.runs_on_host))
    return runner


def check_ready(one: Ready) -> None:
    """Runs every check that works with any model."""
    for check_one in runner_checks.ANY_MODEL:
        check_one(one)


def parameters(function: Any) -> list[str]:
    """Names of a function's parameters."""
    return [name for name in inspect.signature(function).parameters if name != "self"]


def _check_imports(file: str, text: str) -> None:
    """Checks that a runner's top-level imports are from the standard library, or packed with it."""
    for node in parse(text).body:
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} imports by a relative name"
            names = [str(node.module)]
        for imported in names:
            top = imported.split(".")[0]
            known = top in sys.stdlib_module_names or top == "edgewright_targets"
            assert known, f"{file} imports {imported} before it is loaded"
