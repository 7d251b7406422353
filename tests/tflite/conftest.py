"""A .tflite file made by hand, and conversions that share their worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import needs
import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.toolchains import environments
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact, TensorSpec
from edgewright.nouns.conversion import Conversion
from edgewright.precisions import PRECISIONS


@pytest.fixture(scope="module")
def workers(
    tmp_path_factory: pytest.TempPathFactory, worker_folders: dict[str, list[Path]]
) -> Iterator[Workers]:
    """Worker processes that a module's tests share."""
    with Workers(tmp_path_factory.mktemp("log") / "convert.log", **worker_folders) as running:
        yield running


@pytest.fixture(scope="session")
def onnx2tf_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with the toolchain onnx2tf, installed once a session."""
    folder = tmp_path_factory.mktemp("onnx2tf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_HOME", str(folder))
        needs.toolchain("onnx2tf")
        assert environments.install("onnx2tf").state == "ready"
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
        request = compile_request(
            source=source, target="tflite", precision=precision, calibration="synthetic", conversion=conversion,
            shapes=more.get("shapes", {}), use_cache=False,
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


def pooled_net() -> bytes:
    """As a converter writes it: (1, 8, 8, 2), floats of every sign, a convolution and a maximum over 3x3 places, twice.

    The borders are padded with the least float; both paddings share that value, a tensor of one axis. Then a
    maximum with a value a channel, and two concatenations, the first an input of the second.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    generator = np.random.default_rng(4)
    kind, types = schema.BuiltinOperator, schema.TensorType
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers, model.operatorCodes, model.subgraphs = 3, [schema.BufferT()], [], [graph]
    graph.tensors, graph.operators = [], []

    def tensor(name: str, shape: list[int], values: Any = None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, types.FLOAT32, 0
        if values is not None:
            buffer = schema.BufferT()
            made.type = types.INT32 if values.dtype == np.int32 else types.FLOAT32
            buffer.data, made.buffer = np.frombuffer(values.tobytes(), np.uint8), len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def operator(name: str, inputs: list[int], made: int, **options: int) -> int:
        code, added = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(kind, name.upper())
        code.version = 1
        added.opcodeIndex, added.inputs, added.outputs = len(model.operatorCodes), inputs, [made]
        groups = {"conv_2d": "Conv2D", "max_pool_2d": "Pool2D", "concatenation": "Concatenation"}
        group = groups.get(name, "") + "Options"
        if options:
            added.builtinOptionsType = getattr(schema.BuiltinOptions, group)
            added.builtinOptions = getattr(schema, group + "T")()
            vars(added.builtinOptions).update(**{"padding": schema.Padding.VALID, **options})
        model.operatorCodes.append(code)
        graph.operators.append(added)
        return made

    def floats(*shape: int) -> Any:
        return generator.normal(size=shape).astype("<f4")

    last = tensor("x", [1, 8, 8, 2])
    graph.inputs = [last]
    fill = tensor("fill", [1], np.array([np.finfo("f4").min], "<f4"))
    pads = tensor("pads", [4, 2], np.array([[0, 0], [1, 1], [1, 1], [0, 0]], "<i4"))
    for layer, (size, channels) in enumerate(((8, 2), (4, 6))):
        given = [
            tensor(f"w{layer}", [6, 1, 1, channels], floats(6, 1, 1, channels)),
            tensor(f"b{layer}", [6], floats(6) - 2),
        ]
        last = operator(
            "conv_2d", [last, *given], tensor(f"conv{layer}", [1, size, size, 6]), strideH=1, strideW=1
        )
        last = operator("padv2", [last, pads, fill], tensor(f"padded{layer}", [1, size + 2, size + 2, 6]))
        pooled = tensor(f"pooled{layer}", [1, size // 2, size // 2, 6])
        last = operator("max_pool_2d", [last], pooled, strideH=2, strideW=2, filterHeight=3, filterWidth=3)
    least = tensor("least", [6], floats(6) - 3)
    least = operator("maximum", [last, least], tensor("maximum", [1, 2, 2, 6]))
    joined = operator("concatenation", [last, least], tensor("joined", [1, 2, 2, 12]), axis=3)
    given = [tensor("w2", [4, 1, 1, 12], floats(4, 1, 1, 12)), tensor("b2", [4], floats(4))]
    last = operator("conv_2d", [joined, *given], tensor("conv2", [1, 2, 2, 4]), strideH=1, strideW=1)
    graph.outputs = [operator("concatenation", [joined, last], tensor("y", [1, 2, 2, 16]), axis=3)]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def answers(data: bytes, samples: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """The only output for each sample of the only input, real values."""
    from edgewright_targets.tflite.describe_file import plain_interpreter

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
    """`float_net`, `pooled_net`, `answers` and `samples`."""
    return SimpleNamespace(bytes=float_net, pooled=pooled_net, answers=answers, samples=samples)


@pytest.fixture
def work(tmp_path: Path) -> Callable[..., Any]:
    """`work(data, precision, **more)`: what the stage `tflite.finish` is given for a file of `float_net`."""

    def given(data: bytes, precision: str, **more: Any) -> Any:
        before, after = tmp_path / "before", tmp_path / "after"
        before.mkdir(exist_ok=True)
        after.mkdir(exist_ok=True)
        (before / "model.tflite").write_bytes(data)
        chosen = {
            "toolchains": {},
            "keep_float": (),
            "calibration_method": "minmax",
            "integer_io": False,
            **more,
        }
        return SimpleNamespace(
            path=before / "model.tflite", folder=after, entry="model.tflite", precision=precision,
            traits=PRECISIONS[precision], samples=lambda: ([sample] for sample in samples()),
            inputs=(TensorSpec(name="x", shape=(1, 4), dtype="float32"),),
            outputs=(TensorSpec(name="y", shape=(1, 2), dtype="float32"),),
            **chosen,
        )  # fmt: skip

    return given
