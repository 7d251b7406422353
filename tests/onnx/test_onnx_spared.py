"""What would only round again stays in floats: normalisations that no layer takes up, Concats of Concats."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from flat_requests import compile_request
from onnx import helper, numpy_helper

from edgewright.compile.pipeline import compile_model
from edgewright.compile.sources import onnx_session
from edgewright.nouns.artifact import TensorSpec
from edgewright.precisions import PRECISIONS
from edgewright_targets._onnx import choose_float_nodes, quantize_static
from edgewright_targets._onnx.exclude_from_quantization import spared

FEATURES, GROWTH, BLOCKS = 8, 4, 12


def dense_block(path: Path) -> Path:
    """BN, Mul, Add, Relu, Conv, Concat with what came in; twelve times. (1, 8, 8, 8) to (1, 10)."""
    generator = np.random.default_rng(7)
    nodes, weights, name, channels = [], [], "image", FEATURES

    def weight(key: str, array: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(array.astype(np.float32), key))
        return key

    for at in range(BLOCKS):
        shape = (channels,)
        norm = [weight(f"{what}{at}", generator.uniform(0.5, 2, shape)) for what in ("scale", "var")]
        shift = [weight(f"{what}{at}", generator.normal(0, 0.3, shape)) for what in ("bias", "mean")]
        gain = [weight(f"{what}{at}", generator.uniform(0.5, 2, (channels, 1, 1))) for what in ("mul", "add")]
        kernel = generator.normal(0, np.sqrt(2 / 9 / channels), (GROWTH, channels, 3, 3))
        nodes += [
            helper.make_node("BatchNormalization", [name, norm[0], *shift, norm[1]], [f"n{at}"], f"norm{at}"),
            helper.make_node("Mul", [f"n{at}", gain[0]], [f"m{at}"], f"mul{at}"),
            helper.make_node("Add", [f"m{at}", gain[1]], [f"a{at}"], f"add{at}"),
            helper.make_node("Relu", [f"a{at}"], [f"r{at}"], f"relu{at}"),
            helper.make_node("Conv", [f"r{at}", weight(f"w{at}", kernel)], [f"c{at}"], f"conv{at}", pads=[1] * 4),
            helper.make_node("Concat", [name, f"c{at}"], [f"t{at}"], f"concat{at}", axis=1),
        ]  # fmt: skip
        name, channels = f"t{at}", channels + GROWTH
    head = weight("head", generator.normal(0, np.sqrt(1 / channels), (channels, 10)))
    nodes += [
        helper.make_node("GlobalAveragePool", [name], ["pooled"], "pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", head], ["classes"], "gemm"),
    ]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("image", (1, FEATURES, 8, 8)), ("classes", (1, 10)))
    ]
    graph = helper.make_graph(nodes, "dense", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_the_normalisations_and_the_chain_are_named(tmp_path: Path) -> None:
    blocks = range(BLOCKS)
    wanted = {f"{what}{at}" for what in ("norm", "mul", "add", "concat") for at in blocks}
    assert spared(onnx.load(dense_block(tmp_path / "dense.onnx"))) == wanted


def test_a_residual_sum_and_a_lone_concat_are_not(tmp_path: Path) -> None:
    one = np.ones(1, np.float32)
    nodes = [
        helper.make_node("Add", ["x", "y"], ["sum"], "residual"),
        helper.make_node("Mul", ["sum", "one"], ["scaled"], "scale"),
        helper.make_node("Concat", ["scaled", "x"], ["both"], "lone", axis=0),
        helper.make_node("Relu", ["both"], ["rest"], "relu"),
        helper.make_node("Concat", ["rest", "y"], ["out"], "after", axis=0),
    ]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (size,))
        for name, size in (("x", 2), ("y", 2), ("out", 6))
    ]
    graph = helper.make_graph(nodes, "sum", ends[:2], ends[2:], [numpy_helper.from_array(one, "one")])
    assert spared(helper.make_model(graph)) == set()


@pytest.mark.parametrize(("precision", "gain_db"), [("int8", 3), ("int16x8", 0)])
def test_answers_are_nearer_than_with_all_in_integers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, gain_db: float
) -> None:
    source = dense_block(tmp_path / "dense.onnx")
    images = np.random.default_rng(1).normal(size=(16, 1, FEATURES, 8, 8)).astype(np.float32)
    work = SimpleNamespace(
        path=source, folder=tmp_path, precision=precision, traits=PRECISIONS[precision], calibration_method="minmax", keep_float=(), integer_io=False,
        inputs=(TensorSpec(name="image", shape=(1, FEATURES, 8, 8), dtype="float32"),),
        samples=lambda most=16: ((image,) for image in images[:most]),
    )  # fmt: skip

    def answers(model: bytes) -> np.ndarray:
        session = onnx_session.session(model)
        return np.stack([session.run(None, {"image": image})[0] for image in images])

    wanted, found = answers(source.read_bytes()), []
    for names in (spared, lambda _: set()):
        monkeypatch.setattr(choose_float_nodes, "spared", names)
        found.append(decibels(wanted, answers(quantize_static.quantise(work)[0].SerializeToString())))
    assert found[0] > found[1] + gain_db


def decibels(wanted: np.ndarray, found: np.ndarray) -> float:
    """SQNR."""
    return float(10 * np.log10(np.square(wanted).sum() / np.square(wanted - found).sum()))


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_a_dense_block_is_quantised_but_for_them_and_says_so(tmp_path: Path, workers, precision: str) -> None:
    source, data = dense_block(tmp_path / "dense.onnx"), tmp_path / "data.npz"
    generator = np.random.default_rng(1)
    contrast = generator.uniform(
        0.2, 3, (16, 1, 1, 1)
    )  # noise of one size has almost the same mean each time
    np.savez(data, image=(contrast * generator.normal(size=(16, FEATURES, 8, 8))).astype(np.float32))
    request = compile_request(source=source, target="onnxruntime", precision=precision, calibration=data)
    made = compile_model(request, workers=workers)
    (note,) = made.manifest.notes
    assert note.startswith("48 nodes stay in floats, ")
    assert note.endswith(": norm0, mul0, add0, concat0, norm1, mul1, add1, concat1 and 40 more")
    graph = onnx.load(made.folder / "model.onnx").graph
    rounded = {node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    kinds = [node.op_type for node in graph.node if rounded & set(node.output)]
    assert (
        not {"BatchNormalization", "Mul", "Add"} & set(kinds) and kinds.count("Concat") == 1
    )  # the pool reads it
