"""`convert` and `deploy` make the same request from the same options."""

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

from edgewright import deployments
from edgewright.api import models
from edgewright.cli import project_source
from edgewright.cli.commands.convert import convert
from edgewright.cli.commands.deploy import deploy
from edgewright.compile.request import CompileRequest
from edgewright.errors import ConversionError
from edgewright.store.artifacts import load

ONNX = bytes.fromhex(
    "08083a330a0c0a0178120179220452656c751201675a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a02080142040a00100d"
)  # one Relu
# on the command line what each option of both commands is
OPTIONS = {
    "target": ["--target", "iree"],
    "cpu": ["--target", "iree", "--cpu", "x86-64-v3"],
    "precision": ["--precision", "int8"],
    "calibration": ["--calibration", "data.npz"],
    "evaluation": ["--evaluation", "data.npz"],
    "metric": ["--metric", "top5", "--evaluation", "data.npz"],
    "score": ["--score", "y", "--evaluation", "data.npz"],
    "input_shape": ["--input-shape", "x=1,2"],
    "inputs": ["--inputs", "a,b"],
    "outputs": ["--outputs", "c"],
    "signature": ["--signature", "serve"],
    "keep_float": ["--keep-float", "conv"],
    "calibration_method": ["--calibration-method", "entropy"],
    "integer_io": ["--integer-io"],
    "allow_constant": ["--allow-constant"],
    "trust_model": ["--trust-model"],
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
    """The requests that `convert` and `deploy` make from some of the options."""
    (tmp_path / "net.onnx").write_bytes(ONNX)
    (tmp_path / "fleet.toml").write_text('[boards.a]\naddress = "192.0.2.1"\nprofile = "generic-x86_64"\n')
    for name in ("data", "own"):
        np.savez(tmp_path / f"{name}.npz", x=np.ones((4, 2), np.float32), labels=np.zeros(4), name=name)
    monkeypatch.chdir(tmp_path)
    seen: list[CompileRequest] = []

    def note(request: CompileRequest, *_: object) -> Any:
        seen.append(request)
        raise Stopped("stopped here")

    monkeypatch.setattr("edgewright.deployments.runtime_caps.compile_model", note)
    monkeypatch.setattr("edgewright.deployments.artifacts.prepare", note)

    def run(names: Collection[str]) -> tuple[CompileRequest, CompileRequest]:
        given = [word for name in names for word in OPTIONS[name]]
        for option, value in (("--evaluation", "data.npz"), ("--target", "iree")):
            if given.count(option) > 1:  # it counts once
                given = [option, value, *without(given, option)]
        found = []
        for line in (["convert"], ["deploy", "--to", "a"]):
            seen.clear()
            ran = command_line(*line, "net.onnx", *given)
            assert seen, ran.err
            found.append(seen[-1])
        return found[0], found[1]

    return run


def without(words: list[str], option: str) -> list[str]:
    """The words without an option and its value, at any position."""
    places = {index for index, word in enumerate(words) if word == option}
    return [word for index, word in enumerate(words) if not {index, index - 1} & places]


def test_every_option_of_both_commands_is_in_one_record() -> None:
    shared = set(inspect.signature(convert).parameters) & set(inspect.signature(deploy).parameters)
    assert shared - ELSEWHERE == set(project_source.ModelOptions.__struct_fields__) == set(OPTIONS)


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


MANIFEST = min((Path(__file__).parents[1] / "upgrades/made_by_8d6a898/home/artifacts").rglob("manifest.json"))
REFUSED = (
    (["--precision", "int8", "--calibration", "synthetic"], "--precision, --calibration"),
    (["--float-io", "--input-shape", "x=1,3"], "--input-shape, --float-io"),
    (["--target", "openvino"], "--target"),
)


@pytest.mark.parametrize(("given", "named"), REFUSED)
def test_options_of_a_conversion_are_refused_with_an_artifact(
    asked: Asked, given: list[str], named: str
) -> None:
    artifact = MANIFEST.parent
    ran = command_line("deploy", artifact, "--to", "a", "--name", "net", *given)
    first, hint = ran.err.splitlines()
    assert ran.code == 64
    assert first == f"error: {load(artifact).id[:12]} is an artifact, which is deployed as it is: {named}"
    assert "deploy the model" in hint


def test_options_that_an_artifact_meets_are_no_contradiction() -> None:
    artifact = load(MANIFEST.parent)
    manifest = artifact.manifest
    made = models.model_request(
        artifact, target=manifest.target, precision=manifest.precision, use_cache=False
    )
    assert made.model.source == artifact.folder
    assert set(models.CONVERTING) <= set(models.ModelOptions.__annotations__)


def test_a_release_is_not_named_with_an_artifact(asked: Asked) -> None:
    artifact = MANIFEST.parent
    ran = command_line("bench", artifact, "--on", "a", "--release", "3")
    assert ran.code == 64 and "is an artifact, which is measured by itself: --release" in ran.err
