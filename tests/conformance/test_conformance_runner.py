"""One suite for every target: what `runner.py` owes the agent, whatever runtime is behind it.

Targets are found by themselves. The first part needs no runtime and is for all of them. The second runs real artifacts:
by the runner where its runtime is installed on this machine, else by what stands in for it on the host (`host_runner`).
A target whose every way needs a toolchain takes part in the first alone: its own tests install that.
"""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import pytest

from edgewright import targets
from edgewright.compile.jobs import SOURCES
from edgewright.compile.parity import compare
from edgewright.compile.request import CompileRequest
from edgewright.compile.run import compile_model
from edgewright.nouns.precision import PRECISIONS

FUNCTIONS = {
    "import_runtime": [],
    "accelerators": [],
    "prepare": ["folder", "manifest", "options"],
    "load": ["folder", "manifest", "options"],
}
OPTIONAL = {"prepares": ["options"], "environment": ["options"]}
SESSION = {"feed": ["tensors"], "infer": ["feed"], "read": ["outputs"], "close": []}
ALONE = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("runner", sys.argv[1])
runner = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runner)
try:
    runner.import_runtime()
except (ImportError, OSError) as error:
    print("absent", error)
assert runner.prepare.__doc__
"""


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.mark.parametrize("name", targets.names())
def test_the_runner_has_the_functions_that_the_agent_calls(name: str) -> None:
    runner = targets.runner(name)
    for function, wanted in FUNCTIONS.items():
        assert parameters(getattr(runner, function)) == wanted, function
    for function, wanted in OPTIONAL.items():
        assert not hasattr(runner, function) or parameters(getattr(runner, function)) == wanted, function
    assert hasattr(runner, "prepares") == hasattr(runner, "environment")
    for method, wanted in SESSION.items():
        assert parameters(getattr(runner.Session, method)) == wanted, method


@pytest.mark.parametrize("name", targets.names())
def test_the_runner_imports_by_the_standard_library_alone_and_says_what_is_missing(name: str) -> None:
    """As on a board: no site-packages. Where the runtime is missing, that is an ImportError or an OSError."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", ALONE, targets.folder(name) / "runner.py"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("absent")


@pytest.mark.parametrize("name", targets.names())
def test_the_metadata_name_what_there_is(name: str) -> None:
    target = targets.load(name)
    assert set(target.precisions) <= set(PRECISIONS)
    assert set(target.sources) <= set(SOURCES)
    assert target.calibration_methods[0] == "minmax"
    assert "cpu" not in target.accelerators[1:]
    assert set(target.hardware) <= set(target.accelerators)
    assert find_spec(targets.module_name(f"{name}.{target.host_runner}"))
    for ways in (target.routes, target.as_is):
        for way in ways.values():
            assert {worker for worker, _ in way.stages} <= set(SOURCES.values())
            assert set(way.precisions or ()) <= set(target.precisions)
            for _, module in way.stages:
                assert find_spec(targets.module_name(module)), module
    assert ("as-is" in target.precisions) == bool(target.as_is)
    for row in target.runtimes:
        assert target.caps_of(row.distribution, row.version) == row.caps


class Ready(NamedTuple):
    """An artifact and what runs it here."""

    runner: Any
    folder: str
    manifest: dict[str, Any]
    goldens: dict[str, np.ndarray]

    def load(self, manifest: dict[str, Any] | None = None, **options: Any) -> Any:
        given = {"threads": 1, "accelerator": None, "prepared": None, **options}
        return self.runner.load(self.folder, self.manifest if manifest is None else manifest, given)

    def inputs(self, number: int) -> list[bytes]:
        return [self.goldens[f"input_{i}"][number].tobytes() for i in range(len(self.manifest["inputs"]))]

    def answer(self, session: Any, inputs: list[bytes]) -> list[bytes]:
        return [bytes(one) for one in session.read(session.infer(session.feed(inputs)))]

    def right(self, answers: list[list[bytes]]) -> None:
        """Compares answers, one list a golden, with the source framework's: order, dtype, size, values."""
        tolerance = self.manifest["goldens"]["tolerance"]
        for place, spec in enumerate(self.manifest["outputs"]):
            found = np.stack(
                [np.frombuffer(one[place], spec["dtype"]).reshape(spec["shape"]) for one in answers]
            )
            wanted = self.goldens[f"output_{place}"][: len(answers)]
            measured = compare([wanted], [found.astype(wanted.dtype)])
            assert measured.sqnr_db >= tolerance["sqnr_db"], (spec["name"], measured)
            assert measured.max_relative <= tolerance["relative"], (spec["name"], measured)


def way_of(name: str) -> str:
    """A source format from which a target is reached without a toolchain; empty where there is none."""
    routes = targets.load(name).routes
    return next((kind for kind in ("onnx", "keras") if kind in routes and not routes[kind].toolchains), "")


def runs(name: str) -> Any:
    """The runner, or its stand-in on the host where the runtime is not installed here."""
    try:
        targets.runner(name).import_runtime()
    except (ImportError, OSError):
        return importlib.import_module(targets.module_name(f"{name}.{targets.load(name).host_runner}"))
    return targets.runner(name)


REACHED = [name for name in targets.names() if way_of(name)]
CASES = [("two_in_two_out", "fp32"), ("tokens", "fp32"), ("cnn", "int8")]


@pytest.fixture(scope="module")
def made(small_models, workers):
    """`made(target, model, precision)`: a Ready."""
    found: dict[tuple[str, str, str], Ready] = {}

    def make(name: str, model: str, precision: str) -> Ready:
        key = (name, model, precision)
        if key not in found:
            kind = way_of(name)
            source = small_models(kind) / f"{model}.{kind}"
            request = CompileRequest(source=source, target=name, precision=precision, calibration="synthetic")
            artifact = compile_model(request, workers=workers)
            manifest = json.loads((artifact.folder / "manifest.json").read_bytes())
            with np.load(artifact.folder / manifest["goldens"]["file"]) as goldens:
                found[key] = Ready(runs(name), str(artifact.folder), manifest, dict(goldens))
        return found[key]

    return make


def test_most_targets_are_reached() -> None:
    assert {"onnxruntime", "openvino", "tflite"} <= set(REACHED)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "precision"), CASES)
@pytest.mark.parametrize("name", REACHED)
def test_goldens_are_answered_in_order_and_type(made, name: str, model: str, precision: str) -> None:
    ready = made(name, model, precision)
    goldens = range(ready.manifest["goldens"]["count"])
    session = ready.load()
    answers = [ready.answer(session, ready.inputs(number)) for number in goldens]
    ready.right(answers)
    assert [ready.answer(session, ready.inputs(number)) for number in goldens] == answers, (
        "not twice the same"
    )
    assert len({tuple(one) for one in answers}) == len(answers), "the answers do not depend on the inputs"
    assert session.accelerator == "cpu"
    session.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", REACHED)
def test_the_manifest_gives_the_order_of_inputs_and_outputs(made, name: str) -> None:
    ready = made(name, "two_in_two_out", "fp32")
    inputs, outputs = ready.manifest["inputs"], ready.manifest["outputs"]
    assert [spec["name"] for spec in inputs] == ["right", "left"] and len(outputs) == 2
    turned = {**ready.manifest, "inputs": inputs[::-1], "outputs": outputs[::-1]}
    straight, reverse = ready.load(), ready.load(turned)
    for number in range(8):
        given = ready.inputs(number)
        assert ready.answer(reverse, given[::-1])[::-1] == ready.answer(straight, given)
    straight.close()
    reverse.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", REACHED)
def test_integers_stay_integers(made, name: str) -> None:
    ready = made(name, "tokens", "fp32")
    (spec,) = ready.manifest["inputs"]
    assert spec["dtype"] in ("int32", "int64") and ready.goldens["input_0"].dtype == spec["dtype"]
    session = ready.load()
    one, other = (np.full(spec["shape"], token, spec["dtype"]).tobytes() for token in (3, 4))
    assert ready.answer(session, [one]) != ready.answer(session, [other])
    session.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", REACHED)
def test_a_feed_is_a_copy_and_takes_what_is_like_bytes(made, name: str) -> None:
    ready = made(name, "two_in_two_out", "fp32")
    session = ready.load()
    wanted = ready.answer(session, ready.inputs(0))
    given = [bytearray(one) for one in ready.inputs(0)]
    feed = session.feed([memoryview(given[0]), given[1]])
    for one in given:
        one[:] = bytes(len(one))
    assert [bytes(one) for one in session.read(session.infer(feed))] == wanted
    session.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", REACHED)
def test_answers_are_the_callers_own(made, name: str) -> None:
    ready = made(name, "two_in_two_out", "fp32")
    session, other = ready.load(), ready.load(threads=2)
    first = session.read(session.infer(session.feed(ready.inputs(0))))
    kept = [bytes(one) for one in first]
    ready.answer(session, ready.inputs(1))
    assert [bytes(one) for one in first] == kept
    session.close()
    ready.right([ready.answer(other, ready.inputs(number)) for number in range(8)])
    other.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", REACHED)
def test_an_accelerator_that_is_not_there_is_a_value_error(made, name: str) -> None:
    ready = made(name, "two_in_two_out", "fp32")
    usable = ready.runner.accelerators()
    assert usable[0] == "cpu" and len(set(usable)) == len(usable)
    for wanted in ("abacus", *(set(targets.load(name).accelerators) - set(usable))):
        with pytest.raises(ValueError, match=wanted):
            ready.load(accelerator=wanted)
    assert ready.load(accelerator="cpu").accelerator == "cpu"
    assert ready.load(accelerator="auto").accelerator in ready.runner.accelerators()


@pytest.mark.slow
@pytest.mark.parametrize("name", REACHED)
def test_tensors_that_are_not_the_models_are_a_value_error(made, name: str) -> None:
    ready = made(name, "two_in_two_out", "fp32")
    for kind in ("inputs", "outputs"):
        more = {**ready.manifest[kind][0], "name": "one too many"}
        with pytest.raises(ValueError, match="differ from the manifest"):
            ready.load({**ready.manifest, kind: [*ready.manifest[kind], more]})


@pytest.mark.slow
@pytest.mark.parametrize("name", REACHED)
def test_what_has_nothing_to_prepare_prepares_nothing(made, name: str, tmp_path) -> None:
    ready = made(name, "two_in_two_out", "fp32")
    if ready.runner is not targets.runner(name):  # its own prepares, on the board alone
        assert targets.runner(name).prepares({"accelerator": None})
        return
    options = {"threads": 1, "accelerator": "cpu", "prepared": str(tmp_path)}
    assert not getattr(ready.runner, "prepares", lambda _: False)(options)
    answer = ready.runner.prepare(ready.folder, ready.manifest, options)
    assert answer in (
        {},
        {"accelerator": "cpu"},
    )  # a runner that chooses among accelerators says which it took
    assert list(tmp_path.iterdir()) == []
