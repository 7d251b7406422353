"""What exporters write in several forms: opsets, local functions, operators of trees alone, ends that are not tensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from flat_requests import compile_request
from onnx import TensorProto as T
from onnx import helper as h

from edgewright.compile.pipeline import compile_model
from edgewright.compile.sources import onnx as source
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError, ModelError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Ends

Made = Callable[..., Artifact]
node, value = h.make_node, h.make_tensor_value_info
X, Y = value("x", T.FLOAT, [1, 4]), value("y", T.FLOAT, [1, 4])


def saved(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], *opsets: tuple[str, int], ir: int = 8,
    functions: list[Any] | None = None, weights: dict[str, Any] | None = None,
) -> Path:  # fmt: skip
    held = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in (weights or {}).items()]
    model = h.make_model(
        h.make_graph(nodes, "net", inputs, outputs, held), ir_version=ir, functions=functions or []
    )
    del model.opset_import[:]
    model.opset_import.extend(h.make_opsetid(*opset) for opset in opsets)
    onnx.save(model, path)
    return path


def scaler(path: Path) -> Path:
    scale = node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[1.0] * 4, scale=[0.5] * 4)
    return saved(path, [scale], [X], [Y], ("ai.onnx.ml", 1))


@pytest.mark.parametrize("max_opset", [None, 15])
def test_operators_of_classical_models_alone(
    made: Made, graph_of: Any, tmp_path: Path, max_opset: int | None
) -> None:
    artifact = made(scaler(tmp_path / "scaler.onnx"), "fp32", max_opset=max_opset)
    assert artifact.manifest.requires == {"ir": 7, "opset": 13, "ml": 1}
    assert artifact.manifest.parity.sqnr_db == 200


@pytest.mark.parametrize("target", ["openvino", "tensorrt"])
def test_targets_without_such_operators_name_them(workers: Workers, tmp_path: Path, target: str) -> None:
    request = compile_request(source=scaler(tmp_path / "scaler.onnx"), target=target)
    with pytest.raises(ConversionError, match=r"does not have: ai\.onnx\.ml\.Scaler$") as caught:
        compile_model(request, workers=workers)
    assert "--target onnxruntime" in caught.value.hint


def opsets(graph: Any) -> list[tuple[str, int]]:
    return [(item.domain, item.version) for item in graph.opset_import]


@pytest.mark.parametrize(
    "named",
    [(("", 17), ("", 17)), (("", 17), ("ai.onnx", 17)), (("ai.onnx", 17), ("", 13)), (("ai.onnx", 17),)],
)
@pytest.mark.parametrize("max_opset", [None, 15])
def test_a_domain_is_named_once(
    made: Made, graph_of: Any, tmp_path: Path, named: tuple[tuple[str, int], ...], max_opset: int | None
) -> None:
    path = saved(tmp_path / "net.onnx", [node("Relu", ["x"], ["y"])], [X], [Y], *named)
    assert opsets(graph_of(made(path, "fp32", max_opset=max_opset))) == [("", max_opset or 17)]


def test_of_several_versions_the_newest_valid_one_is_taken(made: Made, graph_of: Any, tmp_path: Path) -> None:
    mean = node("ReduceMean", ["x"], ["y"], axes=[1])  # an attribute up to opset 17
    path = saved(
        tmp_path / "net.onnx", [mean], [X], [value("y", T.FLOAT, [1, 1])], ("", 21), ("", 17), ("", 13)
    )
    assert opsets(graph_of(made(path, "fp32"))) == [("", 17)]


def gate(domain: str = "own", name: str = "Gate", opset: int = 17, **more: Any) -> Any:
    body = [node("Sigmoid", ["a"], ["s"]), node("Mul", ["s", "a"], ["b"])]
    return h.make_function(domain, name, ["a"], ["b"], body, [h.make_opsetid("", opset)], **more)


def functions_of_each_kind(path: Path) -> Path:
    """Functions that call functions, in a branch, of an older opset, two of one name."""
    twice = h.make_function(
        "own", "Twice", ["a"], ["c"], [node("Gate", ["a"], ["b"], domain="own"), node("Gate", ["b"], ["c"], domain="own")],
        [h.make_opsetid("", 17), h.make_opsetid("own", 1)],
    )  # fmt: skip
    double = h.make_function(
        "own",
        "Gate",
        ["a"],
        ["b"],
        [node("Add", ["a", "a"], ["b"])],
        [h.make_opsetid("", 17)],
        overload="sum",
    )
    branch = [
        h.make_graph([node("Twice", ["x"], ["q"], domain="own")], "then", [], [value("q", T.FLOAT, [1, 4])]),
        h.make_graph([node("Old", ["x"], ["q"], domain="own")], "else", [], [value("q", T.FLOAT, [1, 4])]),
    ]
    nodes = [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["positive"]),
        node("If", ["positive"], ["z"], then_branch=branch[0], else_branch=branch[1]),
        node("Gate", ["z"], ["y"], domain="own", overload="sum"),
    ]
    functions = [gate(), twice, double, gate(name="Old", opset=13)]
    return saved(
        path,
        nodes,
        [X],
        [Y],
        ("", 17),
        ("own", 1),
        ir=10,
        functions=functions,
        weights={"zero": np.float32(0)},
    )


@pytest.mark.parametrize(
    ("target", "precision"), [("onnxruntime", "fp32"), ("onnxruntime", "fp16"), ("openvino", "fp32")]
)
def test_functions_are_inlined(workers: Workers, tmp_path: Path, target: str, precision: str) -> None:
    path = functions_of_each_kind(tmp_path / "net.onnx")
    artifact = compile_model(
        compile_request(source=path, target=target, precision=precision), workers=workers
    )
    if target == "onnxruntime":
        graph = onnx.load(artifact.folder / "model.onnx")
        assert not graph.functions
        assert opsets(graph) == [("", 17)]
    else:
        assert artifact.manifest.parity.sqnr_db > 100


def test_functions_for_an_older_runtime(made: Made, graph_of: Any, tmp_path: Path) -> None:
    artifact = made(functions_of_each_kind(tmp_path / "net.onnx"), "fp32", max_opset=15)
    assert opsets(graph_of(artifact)) == [("", 15)]
    assert artifact.manifest.requires == {"ir": 8, "opset": 15}


def test_axes_that_were_attributes_become_so_again(made: Made, graph_of: Any, tmp_path: Path) -> None:
    """Squeeze and its like at an opset before 13, to which ONNX's own converter knows no way."""
    nodes = [
        node("Unsqueeze", ["x", "one"], ["a"]), node("Split", ["a", "sizes"], ["b", "c"], axis=2),
        node("Concat", ["c", "b"], ["d"], axis=2), node("ReduceSum", ["d", "one"], ["e"]), node("Squeeze", ["e", "one"], ["y"]),
    ]  # fmt: skip
    weights = {"one": np.array([1]), "sizes": np.array([1, 3])}
    path = saved(tmp_path / "net.onnx", nodes, [X], [Y], ("", 17), weights=weights)
    graph = graph_of(made(path, "fp32", max_opset=12))
    assert opsets(graph) == [("", 12)]
    assert all(len(item.input) < 2 or item.op_type == "Concat" for item in graph.graph.node)


def sequence(name: str, element: Any) -> Any:
    return h.make_value_info(name, h.make_sequence_type_proto(element))


FLOATS = h.make_tensor_type_proto(T.FLOAT, None)


def refused(workers: Workers, path: Path) -> ModelError:
    with pytest.raises(ModelError) as caught:
        compile_model(compile_request(source=path, target="onnxruntime"), workers=workers)
    return caught.value


def test_ends_that_are_no_tensors(workers: Workers, tmp_path: Path) -> None:
    maps = h.make_map_type_proto(T.INT64, FLOATS)
    zipped = saved(
        tmp_path / "zip.onnx", [node("ZipMap", ["x"], ["p"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2, 3])],
        [X], [sequence("p", maps)], ("", 17), ("ai.onnx.ml", 1),
    )  # fmt: skip
    error = refused(workers, zipped)
    assert error.message.startswith("output p of zip.onnx is a sequence of maps (ZipMap)")
    assert 'options={id(model): {"zipmap": False}}' in error.hint
    parts = saved(
        tmp_path / "parts.onnx",
        [node("SplitToSequence", ["x"], ["p"], axis=1)],
        [X],
        [sequence("p", FLOATS)],
        ("", 17),
    )
    assert refused(workers, parts).message.startswith("output p of parts.onnx is a sequence of tensors")
    taken = saved(
        tmp_path / "taken.onnx", [node("ConcatFromSequence", ["p"], ["y"], axis=1)], [sequence("p", FLOATS)], [Y], ("", 17)
    )  # fmt: skip
    assert refused(workers, taken).message.startswith("input p of taken.onnx is a sequence of tensors")
    maybe = h.make_value_info("p", h.make_optional_type_proto(h.make_tensor_type_proto(T.FLOAT, [1, 4])))
    optional = saved(tmp_path / "maybe.onnx", [node("Optional", ["x"], ["p"])], [X], [maybe], ("", 17))
    assert refused(workers, optional).message.startswith("output p of maybe.onnx is an optional value")
    text = saved(
        tmp_path / "text.onnx", [node("LabelEncoder", ["t"], ["y"], domain="ai.onnx.ml", keys_strings=["a"], values_floats=[1.0])],
        [value("t", T.STRING, [1, 4])], [Y], ("", 17), ("ai.onnx.ml", 2),
    )  # fmt: skip
    assert refused(workers, text).message.startswith("input t of text.onnx is text")
    assert refused(workers, text).code == "input-kind"


def test_complex_inputs_are_named(workers: Workers, tmp_path: Path) -> None:
    ends = value("x", T.COMPLEX64, [1, 4]), value("y", T.COMPLEX64, [1, 4])
    path = saved(tmp_path / "net.onnx", [node("Identity", ["x"], ["y"])], [ends[0]], [ends[1]], ("", 17))
    assert refused(workers, path).message.startswith("input x of net.onnx is of complex numbers")


def test_a_text_beside_numbers_can_be_left_out(workers: Workers, tmp_path: Path) -> None:
    words = node(
        "LabelEncoder",
        ["i"],
        ["t"],
        domain="ai.onnx.ml",
        keys_int64s=[0, 1, 2, 3],
        values_strings=list("abcd"),
    )
    nodes = [node("Relu", ["x"], ["y"]), node("ArgMax", ["y"], ["i"], axis=1), words]
    path = saved(
        tmp_path / "net.onnx", nodes, [X], [value("t", T.STRING, [1, 1]), Y], ("", 17), ("ai.onnx.ml", 2)
    )
    assert 'extract_model(file, new_file, ["x"], ["y"])' in refused(workers, path).hint
    onnx.utils.extract_model(path, tmp_path / "new.onnx", ["x"], ["y"])
    assert compile_model(compile_request(source=tmp_path / "new.onnx", target="onnxruntime"), workers=workers)


def test_outputs_whose_shape_varies(workers: Workers, tmp_path: Path) -> None:
    found = value("found", T.INT64, [2, "n"])
    nodes = [node("Relu", ["x"], ["r"]), node("NonZero", ["r"], ["found"])]
    error = refused(workers, saved(tmp_path / "net.onnx", nodes, [X], [found], ("", 17)))
    assert error.message.startswith("output found of net.onnx changes its shape from input to input: (2, ")
    assert error.hint == "export what NonZero selects from, or a fixed number of rows (TopK, padding)"
    assert error.code == "shape-varies"
    nodes = [node("Relu", ["x"], ["y"]), node("NonZero", ["x"], ["found"])]  # no number is 0
    path = saved(tmp_path / "same.onnx", nodes, [X], [found, Y], ("", 17))
    artifact = compile_model(compile_request(source=path, target="onnxruntime"), workers=workers)
    assert artifact.manifest.outputs[0].shape == (2, 4)
    assert artifact.manifest.notes == (
        "output found has no fixed shape in the model: (2, 4) for all samples",
    )
    none = [node("Sub", ["x", "x"], ["r"]), node("NonZero", ["r"], ["found"])]
    error = refused(workers, saved(tmp_path / "none.onnx", none, [X], [found], ("", 17)))
    assert error.message == "output found of none.onnx holds no values: its shape is (2, 0)"


def test_a_recurrent_layer_is_fed_time_first(workers: Workers, tmp_path: Path) -> None:
    weights = {"w": np.ones((1, 8, 3), np.float32), "r": np.ones((1, 8, 2), np.float32)}
    lstm = node("LSTM", ["x", "w", "r"], ["", "y"], hidden_size=2)
    path = saved(
        tmp_path / "net.onnx", [lstm], [value("x", T.FLOAT, [None, 1, 3])], [value("y", T.FLOAT, [1, 1, 2])], ("", 17), weights=weights
    )  # fmt: skip
    assert "--input-shape x=SIZE,1,3 (such as x=20,1,3)" in refused(workers, path).hint
    request = compile_request(source=path, target="onnxruntime", shapes={"x": (5, 1, 3)})
    manifest = compile_model(request, workers=workers).manifest
    assert manifest.inputs[0].shape == (5, 1, 3)
    assert manifest.notes == ("input x was (?, 1, 3), made (5, 1, 3)",)


def test_a_model_whose_weights_stay_in_files_is_brought_into_form_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "LARGE", 1000)
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Gate", ["h"], ["y"], domain="own")]
    ends = [value(name, T.FLOAT, ["N", 200]) for name in "xy"]
    path = saved(
        tmp_path / "net.onnx", nodes, ends[:1], ends[1:], ("", 17), ("", 16), ("own", 1), functions=[gate()],
        weights={"w": np.eye(200, dtype=np.float32)},
    )  # fmt: skip
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    opened = source.open_model(path, "onnx", {}, Ends())
    assert opened.large
    assert [item.op_type for item in opened.model.graph.node] == ["MatMul", "Sigmoid", "Mul"]
    assert opsets(opened.model) == [("", 17)]
    (answer,) = opened.run([np.ones((1, 200), np.float32)])
    assert np.allclose(answer, 1 / (1 + np.exp(-1)))


def test_a_fixed_batch_is_noted(made: Made, tmp_path: Path) -> None:
    ends = [value(name, T.FLOAT, [3, 4]) for name in "xy"]
    path = saved(tmp_path / "net.onnx", [node("Relu", ["x"], ["y"])], ends[:1], ends[1:], ("", 17))
    assert made(path, "fp32").manifest.notes == ("the batch is fixed at 3: each inference takes 3 samples",)
