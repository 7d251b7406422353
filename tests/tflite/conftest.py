"""A .tflite file made by hand, and conversions that share their worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgewright.compile import toolchains
from edgewright.compile.request import CompileRequest
from edgewright.compile.run import compile_model
from edgewright.compile.workers import Workers
from edgewright.nouns.artifact import Artifact, TensorSpec
from edgewright.nouns.conversion import Conversion


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Worker processes that a module's tests share."""
    with Workers(tmp_path_factory.mktemp("log") / "convert.log") as running:
        yield running


@pytest.fixture(scope="session")
def onnx2tf_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with the toolchain onnx2tf, installed once a session."""
    folder = tmp_path_factory.mktemp("onnx2tf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_HOME", str(folder))
        assert toolchains.install("onnx2tf").state == "ready"
    return folder


@pytest.fixture
def convert(workers: Workers) -> Callable[..., Artifact]:
    """`convert(source, precision, keep=(), method="minmax", integer_io=False, shapes={}, workers=...)` -> the artifact."""

    def made(source: Path, precision: str | None, **more: Any) -> Artifact:
        conversion = Conversion(
            keep_float=tuple(more.get("keep", ())),
            calibration_method=more.get("method", "minmax"),
            integer_io=more.get("integer_io", False),
        )
        request = CompileRequest(
            source=source, target="tflite", precision=precision, calibration="synthetic", conversion=conversion,
            inputs=more.get("shapes", {}), use_cache=False,
        )  # fmt: skip
        return compile_model(request, workers=more.get("workers", workers))

    return made


def float_net(custom: str = "") -> bytes:
    """A .tflite file without a converter: (1, 4) -> dense of 3, Relu -> dense of 2, all floats, weights seeded.

    Args:
        custom: the second layer is this custom operator instead.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    generator = np.random.default_rng(3)
    kind = schema.BuiltinOperator
    model = schema.ModelT()
    model.version, model.buffers, model.operatorCodes = 3, [schema.BufferT()], []
    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [0], [6]

    def tensor(name: str, shape: list[int], values: bool) -> None:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, schema.TensorType.FLOAT32, 0
        if values:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(generator.normal(size=shape).astype("<f4").tobytes(), np.uint8)
            made.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(made)

    for name, shape, values in (
        ("x", [1, 4], False), ("first/weights", [3, 4], True), ("first/bias", [3], True), ("net/first/MatMul", [1, 3], False),
        ("last/weights", [2, 3], True), ("last/bias", [2], True), ("y", [1, 2], False),
    ):  # fmt: skip
        tensor(name, shape, values)
    for index, (ends, out, activation) in enumerate((([0, 1, 2], 3, 1), ([3, 4, 5], 6, 0))):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind.FULLY_CONNECTED
        code.version = 1
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = index, ends, [out]
        if custom and index:
            code.builtinCode = code.deprecatedBuiltinCode = kind.CUSTOM
            code.customCode = custom
        else:
            operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
            operator.builtinOptions = schema.FullyConnectedOptionsT()
            operator.builtinOptions.fusedActivationFunction = activation
        model.operatorCodes.append(code)
        graph.operators.append(operator)
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def answers(data: bytes, samples: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The only output for each sample of the only input, real values."""
    from edgewright_targets.tflite.described import plain_interpreter

    interpreter = plain_interpreter(data)
    interpreter.allocate_tensors()
    (given,), (made,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for sample in samples:
        interpreter.set_tensor(given["index"], sample)
        interpreter.invoke()
        found.append(interpreter.get_tensor(made["index"]))
    return np.stack(found)


def samples(count: int = 32, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    """Standard normal inputs of `float_net`."""
    generator = np.random.default_rng(seed)
    return [generator.normal(size=(1, 4)).astype("float32") for _ in range(count)]


@pytest.fixture
def net() -> SimpleNamespace:
    """`float_net`, `answers` and `samples`."""
    return SimpleNamespace(bytes=float_net, answers=answers, samples=samples)


@pytest.fixture
def work(tmp_path: Path) -> Callable[..., Any]:
    """`work(data, precision, **more)`: what the stage `tflite.finish` is given for a file of `float_net`."""

    def given(data: bytes, precision: str, **more: Any) -> Any:
        before, after = tmp_path / "before", tmp_path / "after"
        before.mkdir(exist_ok=True)
        after.mkdir(exist_ok=True)
        (before / "model.tflite").write_bytes(data)
        chosen = {"keep_float": (), "calibration_method": "minmax", "integer_io": False, **more}
        return SimpleNamespace(
            path=before / "model.tflite", folder=after, entry="model.tflite", precision=precision,
            samples=lambda: ([sample] for sample in samples()),
            inputs=(TensorSpec(name="x", shape=(1, 4), dtype="float32"),),
            outputs=(TensorSpec(name="y", shape=(1, 2), dtype="float32"),),
            **chosen,
        )  # fmt: skip

    return given
