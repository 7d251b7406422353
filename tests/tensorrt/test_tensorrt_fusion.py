"""What a board builds its engine of has its batch normalisations folded, from every source; the rest TensorRT fuses there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from flat_requests import compile_request
from onnx import TensorProto, helper, numpy_helper

from edgewright.compile.explain import explain
from edgewright.compile.pipeline import compile_model
from edgewright.compile.quality.verdict.decibels import sqnr_db
from edgewright.compile.sources import onnx_session
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.conversion import Conversion, Ends
from edgewright_targets.tensorrt.fold_batch_norm import fold

FILES = {
    "keras": "keras/cnn.keras", "h5": "tf_keras/cnn.h5", "savedmodel": "keras/cnn_saved", "frozen": "frozen/cnn.pb",
    "onnx": "onnx/cnn.onnx", "tflite": "keras/cnn.tflite", "pt2": "torch/cnn.pt2", "pytorch": "torch/torch_models.py:cnn",
}  # fmt: skip
LEAST_DB = {"fp32": 100, "fp16": 50, "int8": 15}


@pytest.mark.slow  # 60 s in all
@pytest.mark.parametrize("kind", sorted(FILES))
def test_no_batch_normalisation_is_left_in_what_is_shipped(
    small_models: Callable[[str], Path], workers: Workers, kind: str
) -> None:
    folder, _, file = FILES[kind].partition("/")
    ends = Ends(inputs=("image",), outputs=("classes",)) if kind == "frozen" else Ends()
    for precision, least_db in LEAST_DB.items():
        request = compile_request(
            source=Path(f"{small_models(folder)}/{file}"), target="tensorrt", precision=precision,
            calibration="synthetic", conversion=Conversion(ends=ends),
        )  # fmt: skip
        artifact = compile_model(request, workers=workers)
        assert artifact.manifest.parity.sqnr_db > least_db
        shipped = onnx.load(artifact.folder / "model.onnx").graph
        assert "BatchNormalization" not in {node.op_type for node in shipped.node}
        if precision == "fp32":
            told = explain(request, artifact, workers)
            norms, activations = told.elements
            assert (norms.file, norms.runtime) == (0, None)
            assert activations.file == 2
            assert any("fused into their layers by TensorRT itself" in note for note in told.notes)


def net(seed: int, chain: list[tuple[str, dict[str, Any], tuple[int, ...]]], channels: int) -> Any:
    """x (1, channels, 6, 6) through nodes of (kind, attributes, shape of the weights); a norm has no shape."""
    generator = np.random.default_rng(seed)
    nodes, weights, last = [], [], "x"

    def weight(name: str, values: Any) -> str:
        weights.append(numpy_helper.from_array(values.astype("float32"), name))
        return name

    for index, (kind, flags, shape) in enumerate(chain):
        names = [f"w{index}_{part}" for part in range(4)]
        if kind == "BatchNormalization":
            for part, name in enumerate(names):
                weight(
                    name,
                    generator.uniform(0.5, 1.5, channels)
                    if part in (0, 3)
                    else generator.normal(size=channels),
                )
        else:
            groups = flags.get("group", 1)
            channels = shape[0] if kind == "Conv" else shape[1] * groups
            names = [weight(names[0], generator.normal(size=shape) * 0.3)]
            names += [weight(f"b{index}", generator.normal(size=channels))] if index % 2 else []
        nodes.append(helper.make_node(kind, [last, *names], [f"y{index}"], **flags))
        last = f"y{index}"
    given = helper.make_tensor_value_info(
        "x", TensorProto.FLOAT, [1, chain[0][2][0 if chain[0][0] != "Conv" else 1], 6, 6]
    )
    graph = helper.make_graph(
        nodes, "net", [given], [helper.make_tensor_value_info(last, TensorProto.FLOAT, [None] * 4)], weights
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def answers(model: Any) -> Any:
    session = onnx_session.session(model.SerializeToString())
    (given,) = session.get_inputs()
    return session.run(
        None, {given.name: np.random.default_rng(9).normal(size=given.shape).astype("float32")}
    )


NORM = ("BatchNormalization", {"epsilon": 0.01}, ())


@pytest.mark.parametrize(
    "chain",
    [
        [("Conv", {}, (4, 3, 3, 3)), NORM, ("Conv", {"group": 4}, (4, 1, 1, 1)), NORM],
        [("Conv", {}, (4, 3, 1, 1)), ("ConvTranspose", {"strides": [2, 2]}, (4, 5, 2, 2)), NORM],
        [("Conv", {}, (4, 3, 1, 1)), ("ConvTranspose", {"group": 2, "strides": [2, 2]}, (4, 3, 2, 2)), NORM],
    ],
)
def test_a_folded_graph_answers_like_the_one_it_was(chain: list[Any]) -> None:
    model = net(5, chain, 3)
    onnx.checker.check_model(model)
    before = answers(model)
    fold(model)
    onnx.checker.check_model(model)
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    read = {name for node in model.graph.node for name in node.input}
    assert {item.name for item in model.graph.initializer} <= read
    assert sqnr_db(before[0].astype("float64"), answers(model)[0].astype("float64")) > 100


def test_a_product_and_a_sum_of_channels_are_folded_and_no_others() -> None:
    model = net(7, [("Conv", {}, (4, 3, 3, 3)), ("Conv", {"group": 4}, (4, 1, 1, 1))], 3)
    values = np.random.default_rng(1).uniform(0.5, 2, (3, 1, 4, 1, 1)).astype("float32")
    wide = np.random.default_rng(2).normal(size=(1, 1, 1, 4)).astype("float32")  # along the last axis
    for index, array in enumerate((values[0], values[1][0], np.float32(2), wide)):
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), f"c{index}"))
    for index, kind in enumerate(("Mul", "Add", "Mul", "Add")):
        model.graph.node.append(
            helper.make_node(kind, [f"c{index}", f"z{index}"][:: 1 - 2 * (index % 2)], [f"z{index + 1}"])
        )
    model.graph.node[1].output[0], model.graph.output[0].name = "z0", "z4"
    onnx.checker.check_model(model)
    before = answers(model)
    assert fold(model) == 3
    assert [node.op_type for node in model.graph.node] == ["Conv", "Conv", "Add"]
    assert sqnr_db(before[0].astype("float64"), answers(model)[0].astype("float64")) > 100


def test_what_others_read_or_what_trains_is_not_folded() -> None:
    read_twice = net(6, [("Conv", {}, (4, 3, 3, 3)), NORM], 3)
    read_twice.graph.output.append(helper.make_empty_tensor_value_info("y0"))
    alone = net(6, [("Conv", {}, (4, 3, 3, 3)), NORM], 3)
    alone.graph.node.insert(1, helper.make_node("Relu", ["y0"], ["between"]))
    alone.graph.node[2].input[0] = "between"
    given = net(6, [("Conv", {}, (4, 3, 3, 3)), NORM], 3)
    given.graph.initializer.remove(next(item for item in given.graph.initializer if item.name == "w1_0"))
    given.graph.input.append(helper.make_tensor_value_info("w1_0", TensorProto.FLOAT, [4]))
    for model in (read_twice, alone, given):
        kept = model.SerializeToString()
        fold(model)
        assert model.SerializeToString() == kept
