"""What int8 leaves in floats by itself, so that nothing is lost: ends whose parts differ in range, masks, fills; and only those."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import masked_models
import numpy as np
import onnx
import pytest
from flat_requests import compile_request
from onnx import TensorProto, helper, numpy_helper

from edgewright.compile.graph.float_groups import (
    ENDS,
    FILLS,
    MASKS,
    FloatGroup,
    groups,
    in_doubt,
    least_share,
)
from edgewright.compile.graph.operations import Operation
from edgewright.compile.pipeline import compile_model
from edgewright.compile.quality import levels
from edgewright.compile.sources import onnx_session
from edgewright.compile.workers.pool import Workers
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion
from edgewright_targets.tflite import explain as tflite_explain

LOWEST = float(np.finfo("float32").min)
Convert = Callable[..., Artifact]


def least_column_db(source: Path, artifact: Artifact, axis: int) -> float:
    """How well the column that follows worst does so, dB of what it changes, on samples that calibrated nothing."""
    samples = np.random.default_rng(77).random((64, 3, 16, 16), dtype=np.float32)
    files = (source, artifact.folder / artifact.manifest.entry)
    runs = [onnx_session.session(file) for file in files]
    reference, answers = (
        np.stack([run.run(None, {"x": sample[None]})[0][0] for sample in samples]) for run in runs
    )
    others = tuple(at for at in range(reference.ndim) if at != axis)
    signal = ((reference - reference.mean(0)) ** 2).sum(others)
    return float((10 * np.log10(signal / ((answers - reference) ** 2).sum(others))).min())


def nodes_of(artifact: Artifact) -> dict[str, Any]:
    model = onnx.load(str(artifact.folder / artifact.manifest.entry))
    return {name: node for node in model.graph.node for name in node.output}


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_scores_beside_pixels_follow_their_source(
    convert: Convert, onnx_folder: Path, precision: str
) -> None:
    source = onnx_folder / "head.onnx"
    artifact = convert(source, "onnxruntime", precision)
    given = [nodes_of(artifact)[name] for name in nodes_of(artifact)["both"].input]
    assert [node.op_type for node in given] == ["DequantizeLinear", "DequantizeLinear"]
    assert given[0].input[1] != given[1].input[1]  # each with its own scale
    assert least_column_db(source, artifact, axis=1) > 15
    assert artifact.manifest.notes == (
        "2 nodes stay in floats, what joins output y, whose parts differ in range: both, y",
    )
    assert artifact.manifest.kept_float == ()  # nobody asked for it


def test_they_do_from_keras(convert: Convert, keras_folder: Path) -> None:
    (note,) = convert(keras_folder / "head.keras", "onnxruntime").manifest.notes
    assert note.startswith("1 node stays in floats, what joins output pred, whose parts differ in range: ")


def test_parts_of_one_range_are_joined_in_integers(convert: Convert, onnx_folder: Path) -> None:
    artifact = convert(onnx_folder / "even.onnx", "onnxruntime")
    nodes = nodes_of(artifact)
    assert artifact.manifest.notes == ()
    assert nodes[artifact.manifest.outputs[0].name].op_type == "DequantizeLinear"


@pytest.mark.parametrize(
    ("minus_infinity", "method", "precision"),
    [
        (LOWEST, "minmax", "int8"), (LOWEST, "percentile", "int8"), (LOWEST, "entropy", "int8"),
        (LOWEST, "minmax", "int16x8"), (-10000.0, "minmax", "int8"),
    ],
)  # fmt: skip
def test_logits_beside_minus_infinity(
    tmp_path: Path, workers: Workers, minus_infinity: float, method: str, precision: str
) -> None:
    source = masked_models.write(tmp_path, minus_infinity)
    artifact = compile_model(
        compile_request(
            source=source, target="onnxruntime", precision=precision, calibration=tmp_path / "text.npz",
            conversion=Conversion(calibration_method=method),
        ),
        workers=workers,
    )  # fmt: skip
    nodes = nodes_of(artifact)
    assert artifact.manifest.parity.sqnr_db > 25
    assert nodes["masked"].input[1] == "bias3" and nodes["p"].input[0] == "masked"
    (note,) = artifact.manifest.notes
    assert note.startswith("4 nodes stay in floats, what masks the Softmax: ")


@pytest.mark.slow
def test_on_openvino_whose_runtime_errs_at_an_attention_of_integers(tmp_path: Path, workers: Workers) -> None:
    source = masked_models.write(tmp_path, -10000.0)
    request = compile_request(
        source=source, target="openvino", precision="int8", calibration=tmp_path / "text.npz"
    )
    manifest = compile_model(request, workers=workers).manifest
    assert manifest.parity.sqnr_db > 20
    assert manifest.notes[0].startswith("5 operations stay in floats, what masks the Softmax: ")
    assert ": qk, " in manifest.notes[0]  # the product that is masked


def fill(path: Path, name: str) -> Path:
    """A convolution, padded with the lowest float before a MaxPool, or filled with -1e9 before a maximum or a Sigmoid."""
    draw, node = np.random.default_rng(2), helper.make_node
    ways = {
        "pad": [node("Pad", ["c", "pads", "low"], ["p"]), node("MaxPool", ["p"], ["m"], kernel_shape=[3, 3])],
        "maximum": [node("Where", ["keep", "c", "low"], ["p"]), node("ReduceMax", ["p"], ["m"], axes=[2, 3])],
        "sigmoid": [node("Where", ["keep", "c", "low"], ["p"]), node("Sigmoid", ["p"], ["m"])],
    }
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1] * 4), *ways[name], node("Conv", ["m", "v"], ["y"]),
    ]  # fmt: skip
    held = {
        "w": draw.normal(0, 0.4, (6, 3, 3, 3)), "v": draw.normal(0, 0.5, (4, 6, 1, 1)),
        "low": LOWEST if name == "pad" else -1e9,
    }  # fmt: skip
    weights = [numpy_helper.from_array(np.asarray(array, "float32"), key) for key, array in held.items()]
    weights.append(numpy_helper.from_array(np.array([0, 0, 1, 1] * 2), "pads"))
    weights.append(numpy_helper.from_array(draw.random((1, 1, 12, 12)) > 0.3, "keep"))
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 12, 12])]
    results = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", given, results, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), str(path / "fill.onnx"))
    np.savez(path / "data.npz", x=draw.normal(0, 1, (48, 3, 12, 12)).astype("float32"))
    return path / "fill.onnx"


@pytest.mark.parametrize(
    ("name", "target"),
    [
        *((name, "onnxruntime") for name in ("pad", "maximum", "sigmoid")),
        *(pytest.param(name, "openvino", marks=pytest.mark.slow) for name in ("pad", "sigmoid")),
    ],
)
def test_what_a_large_constant_fills(tmp_path: Path, workers: Workers, name: str, target: str) -> None:
    source = fill(tmp_path, name)
    request = compile_request(
        source=source, target=target, precision="int8", calibration=tmp_path / "data.npz"
    )
    artifact = compile_model(request, workers=workers)
    assert artifact.manifest.parity.sqnr_db > 25
    (note,) = artifact.manifest.notes
    assert ", what a large constant fills: " in note
    assert ": p" in note


def far_end(path: Path, name: str) -> Path:
    """Boxes and scores, joined and then scaled, shifted, padded, enlarged or cut; `apart`: scores of both sizes by scaling alone."""
    draw, node = np.random.default_rng(3), helper.make_node
    boxes = [
        node("Gemm", ["h", "wb"], ["box"], name="boxes"),
        node("Gemm", ["h", "ws"], ["s"], name="scoring"),
    ]
    scores = [node("Sigmoid", ["s"], ["scores"]), node("Concat", ["box", "scores"], ["both"], axis=1)]
    ends = {
        "add": [node("Add", ["both", "grid"], ["y"])],
        "mul": [node("Mul", ["both", "pixels"], ["y"])],
        "pad": [node("Pad", ["both", "pads"], ["y"])],
        "resize": [node("Unsqueeze", ["both", "first"], ["u"]), node("Resize", ["u", "", "twice"], ["y"], mode="nearest")],
        "relu": [node("Relu", ["both"], ["r"]), node("Clip", ["r", "", "most"], ["y"])],
        "apart": [node("Gemm", ["h", "wa"], ["a"]), node("Sigmoid", ["a"], ["both"]), node("Mul", ["both", "wide"], ["y"])],
    }  # fmt: skip
    nodes = [node("Gemm", ["x", "w"], ["g"], name="body"), node("Relu", ["g"], ["h"])]
    nodes += [*([] if name == "apart" else [*boxes, *scores]), *ends[name]]
    half = [1.0] * 4
    held = {
        "w": draw.normal(size=(8, 16)), "wb": draw.normal(size=(16, 4)) * 40, "ws": draw.normal(size=(16, 4)) * 0.5,
        "wa": draw.normal(size=(16, 8)) * 0.5, "grid": [[100.0] * 4 + [0.0] * 4], "pixels": [[2.0] * 4 + half],
        "wide": [[640.0] * 4 + half], "twice": [1.0, 2.0, 1.0], "most": 640.0,
    }  # fmt: skip
    weights = [numpy_helper.from_array(np.asarray(array, "float32"), key) for key, array in held.items()]
    weights += [
        numpy_helper.from_array(np.array(array), key)
        for key, array in (("pads", [0, 0, 0, 1]), ("first", [0]))
    ]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])]
    results = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", given, results, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), str(path / "end.onnx"))
    np.savez(path / "data.npz", x=draw.normal(0, 1, (48, 1, 8)).astype("float32"))
    return path / "end.onnx"


@pytest.mark.parametrize("name", ["add", "mul", "pad", "resize", "relu", "apart"])
def test_scores_beside_boxes_that_are_scaled_or_shifted_behind_the_join(
    tmp_path: Path, workers: Workers, name: str
) -> None:
    source = far_end(tmp_path, name)
    request = compile_request(
        source=source, target="onnxruntime", precision="int8", calibration=tmp_path / "data.npz"
    )
    artifact = compile_model(request, workers=workers)
    samples = np.random.default_rng(77).normal(0, 1, (48, 1, 8)).astype("float32")
    runs = [onnx_session.session(file) for file in (source, artifact.folder / artifact.manifest.entry)]
    wanted, found = (np.stack([run.run(None, {"x": x})[0].reshape(-1)[:8] for x in samples]) for run in runs)
    assert (10 * np.log10(wanted.var(0) / ((found - wanted) ** 2).mean(0))).min() > 15  # each column, dB
    (note,) = artifact.manifest.notes
    assert ", what joins output y, whose parts differ in range: " in note


@pytest.mark.parametrize("name", ["add", "mul", "pad", "relu", "apart"])
def test_such_scores_are_refused_where_the_answers_are_integers(
    tmp_path: Path, workers: Workers, name: str
) -> None:
    request = compile_request(
        source=far_end(tmp_path, name), target="onnxruntime", precision="int8", calibration=tmp_path / "data.npz",
        conversion=Conversion(integer_io=True),
    )  # fmt: skip
    with pytest.raises(
        levels.Coarse, match=r"in output y, 4 to 7 of axis 1, \(range [01][.\d]*, steps of \d"
    ):
        compile_model(request, workers=workers)


def operation(name: str, operator: str, *takes: str, **more: Any) -> Operation:
    return Operation(name=name, operator=operator, takes=takes, **more)


def joined(width: float) -> list[Operation]:
    """A Concat of something so wide and of something between 0 and 1."""
    return [
        operation("box", "Mul", width=width, widths=(1.0,)), operation("scores", "Sigmoid", width=1.0, widths=(9.0,)),
        operation("cat", "Concat", "box", "scores", widths=(width, 1.0), width=width),
        operation("rows", "Reshape", "cat", widths=(width,), width=width, ends=("y",)),
    ]  # fmt: skip


def test_only_ends_of_different_range_are_at_stake() -> None:
    ends = FloatGroup(kind=ENDS, words="what joins output y", names=("cat", "rows"))
    assert groups(joined(640.0), measured=True) == (ends,)
    assert groups(joined(3.9), measured=True) == ()
    assert groups(joined(3.9)) == (ends,)  # without measurements it may be


def test_large_numbers_that_are_no_fills_are_not() -> None:
    rows = [
        operation("wide", "Mul", largest=1280.0, widths=(1.0,), width=1280.0),
        operation("moved", "Add", "wide", widths=(1280.0, 8.0), width=1284.0),
        operation("most", "MaxPool", "moved", widths=(1284.0,), width=1284.0),
        operation("conv", "Conv", "most", widths=(1284.0,), width=90.0),
    ]
    assert groups(rows, measured=True) == ()


def test_a_fill_is_followed_to_what_takes_it_away() -> None:
    rows = [
        operation("mask", "Mul", largest=1e9, widths=(1.0,), width=1e9),
        operation("logits", "MatMul", widths=(2.0,), width=6.0),
        operation("added", "Add", "logits", "mask", widths=(6.0, 1e9), width=1e9),
        operation("turned", "Transpose", "added", widths=(1e9,), width=1e9),
        operation("gate", "Sigmoid", "turned", widths=(1e9,), width=1.0),
        operation("after", "Relu", "gate", widths=(1.0,), width=1.0),
    ]
    (group,) = groups(rows, measured=True)
    assert group == FloatGroup(
        kind=FILLS, words="what a large constant fills", names=("mask", "added", "turned", "gate")
    )
    assert groups(rows) == ()


def test_what_takes_a_large_offset_away_is_in_floats(tmp_path: Path, workers: Workers) -> None:
    draw, node = np.random.default_rng(3), helper.make_node
    nodes = [
        node("Add", ["x", "offset"], ["a"], name="centred"), node("Mul", ["a", "unit"], ["b"]),
        node("Gemm", ["b", "w"], ["c"]), node("Relu", ["c"], ["r"]), node("Gemm", ["r", "v"], ["y"]),
    ]  # fmt: skip
    held = {"offset": -1e5, "unit": 1e-3, "w": draw.normal(size=(8, 16)), "v": draw.normal(size=(16, 3))}
    weights = [numpy_helper.from_array(np.asarray(array, "float32"), key) for key, array in held.items()]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8])]
    results = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])]
    graph = helper.make_graph(nodes, "g", given, results, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "far.onnx"))
    samples = draw.normal(1e5, 1e3, (48, 1, 8)).astype("float32")
    np.savez(tmp_path / "data.npz", x=samples)
    request = compile_request(
        source=tmp_path / "far.onnx",
        target="onnxruntime",
        precision="int8",
        calibration=tmp_path / "data.npz",
    )
    artifact = compile_model(request, workers=workers)
    runs = [
        onnx_session.session(file)
        for file in (request.model.source, artifact.folder / artifact.manifest.entry)
    ]
    wanted, found = (np.stack([run.run(None, {"x": x})[0][0] for x in samples]) for run in runs)
    assert (10 * np.log10(wanted.var(0) / ((found - wanted) ** 2).mean(0))).min() > 30  # each column, dB
    (note,) = artifact.manifest.notes
    assert note.startswith("1 node stays in floats, what takes an offset away: ") and note.endswith(
        ": centred"
    )


def with_mask_of_input(reach: float) -> list[Operation]:
    """Logits, a mask that reaches so far added, and a Softmax."""
    return [
        operation("qk", "MatMul", widths=(3.0, 3.0), width=8.0),
        operation("row", "Unsqueeze", widths=(reach,), width=reach),
        operation("masked", "Add", "qk", "row", widths=(8.0, reach), width=reach + 4),
        operation("p", "Softmax", "masked", widths=(reach + 4,), width=1.0),
    ]


def test_a_mask_that_is_an_input_is_found_by_its_width() -> None:
    rows = with_mask_of_input(10000.0)
    found = FloatGroup(kind=MASKS, words="what masks the Softmax", names=("masked", "p"))
    assert groups(rows, measured=True) == (found,)
    assert groups(with_mask_of_input(900.0), measured=True) == ()
    assert in_doubt(rows) == {"masked"}  # what has to be measured for it


def scaled(operator: str, spread: float, width: float, *, both: bool = False) -> list[Operation]:
    """A LiteRT file whose last operator scales or shifts by constants what makes the output."""
    other = [operation("other", "CONV_2D", width=1.0, widths=(1.0,))] if both else []
    takes = ["part", *(one.name for one in other)]
    return [
        operation("part", "LOGISTIC", width=1.0, widths=(9.0,)), *other,
        operation("end", operator, *takes, spread=spread, widths=(1.0,) * len(takes), width=width, ends=("y",)),
    ]  # fmt: skip


def test_an_output_that_constants_scale_or_shift_apart_has_ends() -> None:
    ends = FloatGroup(kind=ENDS, words="what joins output y", names=("end",))
    assert groups(scaled("MUL", 640.0, 640.0), measured=True) == (ends,)
    assert groups(scaled("ADD", 100.0, 101.0), measured=True) == (ends,)
    assert groups(scaled("MUL", 0.0, 640.0), measured=True) == ()  # all of it by one number
    assert groups(scaled("ADD", 3.0, 4.0), measured=True) == ()
    assert groups(scaled("MUL", 640.0, 640.0, both=True), measured=True) == ()
    rows = scaled("MUL", 640.0, 640.0)
    assert least_share(rows, ends) == 1 / 640


def test_a_file_of_litert_has_the_widths_of_its_floats(keras_folder: Path) -> None:
    data = (keras_folder / "moves.tflite").read_bytes()
    plain = tflite_explain.written(data)
    join = next(row for row in plain if row["operator"] == "CONCATENATION")
    ends = {"min": np.full((1, 1), 2.0), "max": np.full((1, 1), 7.0)}
    (row,) = [
        row for row in tflite_explain.written(data, {join["name"]: ends}) if row["name"] == join["name"]
    ]
    assert (row["width"], join["width"], join["widths"]) == (7.0, 0.0, [])
