"""One request: what a user types reaches a compilation equally from `convert` and `deploy`."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import command_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright import deploy as deployments
from edgewright.cli.commands.convert import convert
from edgewright.cli.commands.deploy import deploy
from edgewright.cli.project_source import ModelOptions
from edgewright.compile.request import CompileRequest
from edgewright.errors import ConversionError

ONNX = bytes.fromhex(
    "08083a330a0c0a0178120179220452656c751201675a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a02080142040a00100d"
)  # one Relu
# on the command line what each option of both commands is
OPTIONS = {
    "target": ["--target", "onnxruntime"],
    "precision": ["--precision", "int8"],
    "calibration": ["--calibration", "data.npz"],
    "evaluation": ["--evaluation", "data.npz"],
    "metric": ["--metric", "top5"],
    "score": ["--score", "y", "--evaluation", "data.npz"],
    "input_shape": ["--input-shape", "x=1,2"],
    "inputs": ["--inputs", "a,b"],
    "outputs": ["--outputs", "c"],
    "signature": ["--signature", "serve"],
    "keep_float": ["--keep-float", "conv"],
    "calibration_method": ["--calibration-method", "entropy"],
    "integer_io": ["--integer-io"],
    "allow_constant": ["--allow-constant"],
    "no_cache": ["--no-cache"],
}
# `--max-drop` limits the drop on this machine in `convert`, and that on the boards in `deploy`, which knows the source's answers there
ELSEWHERE = {"model", "project", "dry_run", "as_json", "debug", "max_drop"}
PROJECT = """name = "net"
model = "net.onnx"
calibration = "own.npz"
metric = "f1"
precision = "fp16"
[inputs]
x = [1, 3]
[conversion]
keep_float = ["first"]
accelerator = "npu"
[preprocessing]
scale = 0.5
[compare]
mask = "x"
"""
Asked = Callable[[Collection[str]], tuple[CompileRequest, CompileRequest]]


class Stopped(ConversionError):
    """Ends a command before it converts."""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What `convert` and `deploy` would compile with some of the options."""
    (tmp_path / "net.onnx").write_bytes(ONNX)
    (tmp_path / "fleet.toml").write_text('[boards.a]\naddress = "192.0.2.1"\nprofile = "generic-x86_64"\n')
    for name in ("data", "own"):
        np.savez(tmp_path / f"{name}.npz", x=np.ones((4, 2), np.float32), labels=np.zeros(4), name=name)
    monkeypatch.chdir(tmp_path)
    seen: list[CompileRequest] = []

    def note(request: CompileRequest, *_: object) -> Any:
        seen.append(request)
        raise Stopped("stopped here")

    monkeypatch.setattr("edgewright.deploy.runtime_caps.compile_model", note)
    monkeypatch.setattr("edgewright.deploy.artifacts.compile_model", note)

    def run(names: Collection[str]) -> tuple[CompileRequest, CompileRequest]:
        seen.clear()
        given = [word for name in names for word in OPTIONS[name]]
        ends = [command_line(*line, "net.onnx", *given) for line in (["convert"], ["deploy", "--to", "a"])]
        assert len(seen) == 2, [ran.err for ran in ends]
        return seen[0], seen[1]

    return run


def test_every_option_of_both_commands_is_in_one_record() -> None:
    shared = set(inspect.signature(convert).parameters) & set(inspect.signature(deploy).parameters)
    assert shared - ELSEWHERE == set(ModelOptions.__struct_fields__) == set(OPTIONS)


@pytest.mark.parametrize("with_project", [False, True])
def test_each_option_decides_something(asked: Asked, with_project: bool) -> None:
    if with_project:
        Path("edgewright.toml").write_text(PROJECT)
    plain, same = asked(())
    assert plain == same
    for name in OPTIONS:
        one, other = asked([name])
        assert one == other
        assert one != plain, name


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from(sorted(OPTIONS))), st.booleans())
def test_options_reach_a_compilation_equally_from_both(asked: Asked, names: set[str], project: bool) -> None:
    Path("edgewright.toml").unlink(missing_ok=True)
    if project:
        Path("edgewright.toml").write_text(PROJECT)
    one, other = asked(sorted(names))
    assert one == other


def test_no_constructor_of_a_deployment_takes_more_than_six_parameters() -> None:
    long = {}
    for file in Path(deployments.__file__).parent.glob("*.py"):
        for kind in (
            node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ClassDef)
        ):
            for made in kind.body:
                if isinstance(made, ast.FunctionDef) and made.name == "__init__":
                    given = made.args
                    count = len([*given.posonlyargs, *given.args, *given.kwonlyargs]) - 1
                    long[f"{file.name}: {kind.name}"] = count
    assert len(long) > 5
    assert {name: count for name, count in long.items() if count > 6} == {}
