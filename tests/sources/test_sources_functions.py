"""The functions of a .tflite file: their names, and the file that is written for one of them alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flat_requests import compile_request

from edgewright.compile.inspection import tflite_file
from edgewright.compile.open_inputs import decided
from edgewright.compile.sources import litert, litert_signature
from edgewright.errors import ModelError
from edgewright.nouns.conversion import Conversion, Ends


def tensor(name: str, buffer: int) -> Any:
    made = schema.TensorT()
    made.name, made.buffer, made.shape, made.type = name, buffer, [1, 3], schema.TensorType.FLOAT32
    return made


def function(buffer: int) -> Any:
    """x + a constant."""
    graph, add = schema.SubGraphT(), schema.OperatorT()
    graph.tensors = [tensor("t_x", 0), tensor("t_c", buffer), tensor("t_y", 0)]
    graph.inputs, graph.outputs, graph.operators = [0], [2], [add]
    add.inputs, add.outputs = [0, 1], [2]
    add.builtinOptionsType, add.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    return graph


def signature(name: str, subgraph: int, x: str, y: str) -> Any:
    made = schema.SignatureDefT()
    made.signatureKey, made.subgraphIndex = name, subgraph
    made.inputs, made.outputs = [schema.TensorMapT()], [schema.TensorMapT()]
    for entry, called, at in ((made.inputs[0], x, 0), (made.outputs[0], y, 2)):
        entry.name, entry.tensorIndex = called, at
    return made


def buffer(values: bytes | None = None, outside: int = 0) -> Any:
    made = schema.BufferT()
    made.data = None if values is None else np.frombuffer(values, np.uint8)
    made.offset, made.size = outside, outside
    return made


def written(path: Path, *, outside: int = 0, third: str = "third") -> Path:
    """Signatures `one` and `other` of the first subgraph, `third` of the second."""
    model, code = schema.ModelT(), schema.OperatorCodeT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [function(1), function(2)]
    values = np.arange(3, dtype=np.float32).tobytes()
    model.buffers = [buffer(), buffer(values), buffer(values, outside)]
    model.signatureDefs = [
        signature("one", 0, "a", "b"), signature("other", 0, "first", "last"), signature(third, 1, "u", "v"),
    ]  # fmt: skip
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


@pytest.mark.parametrize(
    ("chosen", "x", "y"), [("one", "a", "b"), ("other", "first", "last"), ("third", "u", "v")]
)
def test_a_signature_names_the_ends_of_its_function(tmp_path: Path, chosen: str, x: str, y: str) -> None:
    model = litert.open_model(written(tmp_path / "net.tflite"), "tflite", {}, Ends(signature=chosen))
    assert [(spec.name, spec.bound) for spec in model.inputs] == [(x, "t_x")]
    assert model.output_names == model.on("reference").output_names == (y,)
    subgraph = int(chosen == "third")
    assert tflite_file.inputs(tmp_path / "net.tflite", subgraph, chosen) == [(x, [1, 3])]
    assert tflite_file.inputs(tmp_path / "net.tflite", subgraph) == [("t_x", [1, 3])]
    assert model.run([np.ones((1, 3), np.float32)])[0].tolist() == [[1, 2, 3]]


def test_weights_of_a_function_alone_are_aligned(tmp_path: Path) -> None:
    for index in range(4):  # of names of different length, so that one lies right by luck alone
        name, place = "third" + "d" * 4 * index, tmp_path / str(index)
        place.mkdir()
        data = litert_signature.narrowed(
            written(tmp_path / "net.tflite", third=name), name, place
        ).read_bytes()
        model = schema.Model.GetRootAsModel(data, 0)
        found = [model.Buffers(at).DataAsNumpy() for at in range(model.BuffersLength())]
        places = [data.find(one.tobytes()) for one in found if not isinstance(one, int)]
        assert [at % 16 for at in places] == [0]


def test_weights_outside_of_the_flatbuffer_are_not_lost(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    with pytest.raises(ModelError, match="lie outside of its flatbuffer, so signature third"):
        litert_signature.narrowed(written(tmp_path / "net.tflite", outside=64), "third", tmp_path / "made")


@pytest.mark.parametrize("name", ["first", "t_x"])
def test_a_dry_run_knows_an_input_by_both_names(tmp_path: Path, name: str) -> None:
    ends = Conversion(ends=Ends(signature="other"))
    request = compile_request(
        source=written(tmp_path / "net.tflite"), target="tflite", shapes={name: (1, 3)}, conversion=ends
    )
    assert decided(request, "tflite") == ("signature other",)
