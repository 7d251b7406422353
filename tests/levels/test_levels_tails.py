"""Where the values of an output come from, by running the same moves in the runtime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.graph.output_tails import Graph, Move, Operand, Tail, affine, tail
from edgewright.compile.quality import levels
from edgewright.compile.quality.levels import Part
from edgewright.compile.sources import onnx_session
from edgewright.compile.tasks.source import SourceRef, opened
from edgewright.nouns.artifact import TensorSpec
from edgewright_targets._onnx import quantization_steps as onnx_steps
from edgewright_targets.tflite import quantization_steps as tflite_steps

MOVES = [
    ("Transpose", ["a"], ["turned"], {"perm": [1, 0]}),
    ("Reshape", ["turned", "shape"], ["flat"], {}),
    ("Concat", ["flat", "b"], ["joined"], {"axis": 1}),
    ("Slice", ["joined", "starts", "ends", "axis", "back"], ["cut"], {}),
    ("Unsqueeze", ["cut", "axis"], ["deep"], {}),
    ("Squeeze", ["deep", "axis"], ["again"], {}),
    ("Split", ["again"], ["upper", "lower"], {"axis": 0}),
    ("Gather", ["lower", "picked"], ["some"], {"axis": 1}),
    ("Identity", ["upper"], ["same"], {}),
    ("Slice", ["b", "first", "second", "rows"], ["one"], {}),
    ("Concat", ["c", "same", "some", "one", "fixed"], ["wide"], {"axis": 1}),
    ("Flatten", ["wide"], ["long"], {"axis": 0}),
    ("QuantizeLinear", ["long", "unit", "zero"], ["whole"], {}),
    ("DequantizeLinear", ["whole", "unit", "zero"], ["y"], {}),
]
CONSTANTS = {
    "shape": [2, 3], "starts": [-1], "ends": [-6], "axis": [1], "back": [-1], "picked": [3, 0], "fixed": [[9.0]],
    "first": [0], "second": [1], "rows": [0],
}  # fmt: skip
INPUTS = {"a": (3, 2), "b": (2, 3), "c": (1, 2)}


def moving_model() -> onnx.ModelProto:
    held = [
        numpy_helper.from_array(np.array(values, "float32" if name == "fixed" else "int64"), name)
        for name, values in CONSTANTS.items()
    ]
    held += [numpy_helper.from_array(np.float32(1), "unit"), numpy_helper.from_array(np.int8(0), "zero")]
    graph = helper.make_graph(
        [helper.make_node(kind, given, made, **flags) for kind, given, made, flags in MOVES],
        "moves",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in INPUTS.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        held,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def same_places(found: Tail, answers: np.ndarray[Any, Any], numbers: dict[str, int]) -> None:
    """Where the runtime put a tensor full of a number, its mark has to be."""
    assert {operand.name for operand in found.operands} == set(numbers)
    for operand in found.operands:
        assert np.array_equal(found.marks == operand.mark, answers == numbers[operand.name])


def test_the_marks_are_where_onnx_runtime_moves_the_values(tmp_path: Path) -> None:
    onnx.save(moving_model(), str(tmp_path / "moves.onnx"))
    (found,) = onnx_steps.tails(tmp_path / "moves.onnx", ["y"])
    assert [operand.step for operand in found.operands] == [1.0] * 3
    feed = {name: np.full(shape, at + 1.0, "float32") for at, (name, shape) in enumerate(INPUTS.items())}
    answers = onnx_session.session(tmp_path / "moves.onnx").run(None, feed)[0]
    assert set(answers.reshape(-1)) == {1, 2, 3, 9}
    same_places(found, answers, {"a": 1, "b": 2, "c": 3})


def test_the_marks_are_where_litert_moves_the_values(keras_folder: Path) -> None:
    from edgewright_targets.tflite.describe_file import plain_interpreter

    data = (keras_folder / "moves.tflite").read_bytes()
    graph, ends = tflite_steps.read(data)
    interpreter = plain_interpreter(data)
    interpreter.allocate_tensors()
    numbers = {}
    for at, detail in enumerate(interpreter.get_input_details()):
        numbers[detail["name"]] = at + 1
        interpreter.set_tensor(detail["index"], np.full(detail["shape"], at + 1, "float32"))
    interpreter.invoke()
    answers = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    found = tail(graph._replace(steps=dict.fromkeys(numbers, 0.5)), next(iter(ends.values())))
    assert found is not None
    assert set(answers.reshape(-1)) == {1, 2, 3}
    same_places(found, answers, numbers)


def test_an_ir_is_walked_as_well() -> None:
    import openvino as ov
    from openvino import opset13 as op

    from edgewright_targets.openvino import quantization_steps as ir_steps

    a, b = (op.parameter([1, 2, width], np.float32, name=name) for name, width in (("a", 3), ("b", 4)))
    scores = op.sigmoid(a)
    scores.set_friendly_name("scores")
    turned = op.transpose(op.concat([scores, b], 2), np.array([0, 2, 1]))
    made = op.fake_quantize(turned, *(np.float32(end) for end in (-64, 191, -64, 191)), 256)
    graph = ir_steps.read(
        model := ov.Model([op.result(op.reshape(made, np.array([7, 2]), False))], [a, b], "m")
    )
    found = tail(graph, ir_steps._name(model.outputs[0]))
    assert found is not None
    by_name = {operand.name: operand for operand in found.operands}
    assert set(by_name) == {"scores:0", "b:0"}
    assert [item.step for item in found.operands] == [1.0, 1.0]
    assert (by_name["scores:0"].low, by_name["scores:0"].high) == (0.0, 1.0)
    assert found.marks.tolist() == [[by_name["scores:0"].mark] * 2] * 3 + [[by_name["b:0"].mark] * 2] * 4


def joined(steps: dict[str, float], kinds: dict[str, str] | None = None) -> Tail | None:
    """p and q, rounded by themselves, then rounded together."""
    moves = [
        Move(("p",), ("p8",), lambda given: given),
        Move(("q",), ("q8",), lambda given: given),
        Move(("p8", "q8"), ("both",), lambda given: [np.concatenate(given, 1)]),
        Move(("both",), ("y",), lambda given: given),
    ]
    return tail(Graph(moves, steps, {"p": (1, 2), "q": (1, 3)}, kinds or {}, ()), "y")


def test_the_coarsest_step_on_the_way_counts() -> None:
    found = joined({"p8": 0.1, "q8": 5.0, "both": 2.0}, {"p": "sigmoid", "q": "add"})
    assert found is not None
    by_name = {operand.name: operand for operand in found.operands}
    p, q = by_name["p"], by_name["q"]
    assert (p.step, p.low, p.high) == (2.0, 0.0, 1.0)
    assert (q.step, q.low, q.high) == (5.0, np.inf, -np.inf)
    assert found.marks.tolist() == [[*[p.mark] * 2, *[q.mark] * 3]]


def ending(*moves: Move, steps: dict[str, float]) -> dict[tuple[float, float, float], list[bool]]:
    """(step, low, high) of each operand of a Sigmoid of four values that ends in the moves: where in the output it is."""
    found = tail(Graph(moves, steps, {"p": (1, 4)}, {"p": "sigmoid"}, ()), moves[-1].outputs[0])
    assert found is not None
    return {(one.step, one.low, one.high): (found.marks == one.mark)[0].tolist() for one in found.operands}


def by(operator: str, made: str, values: list[float], taken: str = "p") -> Move:
    move = affine(operator, [taken, "k"], made, None, np.array(values))
    assert move is not None
    return move


def test_what_constants_scale_apart_has_steps_of_its_own() -> None:
    wide, narrow = [True, True, False, False], [False, False, True, True]
    scaled = by("Mul", "y", [640.0, 640.0, 1.0, 1.0])
    assert ending(scaled, steps={"p": 0.25}) == {(160.0, 0.0, 640.0): wide, (0.25, 0.0, 1.0): narrow}
    assert ending(scaled, steps={"y": 2.5}) == {(2.5, 0.0, 640.0): wide, (2.5, 0.0, 1.0): narrow}
    back = by("Div", "y", [640.0, 640.0, 1.0, 1.0], "m")
    once = {"p": 0.25, "m": 2.0}
    assert ending(scaled._replace(outputs=("m",)), back, steps=once) == {
        (0.25, 0.0, 1.0): wide,
        (2.0, 0.0, 1.0): narrow,
    }


def test_shifts_move_the_ends_and_constants_that_were_rounded_to_nothing_count() -> None:
    assert ending(by("Add", "y", [100.0, 0.0, 0.0, 0.0]), steps={"y": 4.0}) == {(4.0, 0.0, 101.0): [True] * 4}
    assert ending(by("Sub", "y", [3.0]), steps={"p": 0.5}) == {(0.5, -3.0, -2.0): [True] * 4}
    found = ending(by("Mul", "y", [640.0, 640.0, 640.0, 0.0]), steps={"p": 0.25, "y": 2.5})
    assert found[2.5, 0.0, 0.0] == [False, False, False, True]
    assert affine("Mul", ["p", "q"], "y", None, None) is None  # computed, both
    assert affine("Div", ["k", "p"], "y", np.ones(4), None) is None


def test_floats_are_left_alone() -> None:
    assert joined({}) is None
    found = joined({"q8": 0.5})
    assert found is not None
    assert [operand.name for operand in found.operands] == ["q"]


def test_all_calibration_samples_count_not_the_goldens_alone(onnx_folder: Path) -> None:
    source = SourceRef(path=onnx_folder / "head.onnx", format="onnx")
    model = opened(source)
    with np.load(onnx_folder / "images.npz") as data:
        answers = np.stack([model.run([image[None]])[0] for image in data["x"]])
    outputs = (TensorSpec(name="y", shape=(1, 10, 64), dtype="float32"),)
    boxes = np.zeros((1, 10, 64), bool)
    boxes[:, :4] = True
    samples = SampleSet(path=onnx_folder / "images.npz", specs=model.inputs)
    width = float(np.ptp(answers[:, :, :4]))
    for step, few in ((width / 15.9, True), (width / 16.1, False)):
        part = Part(0, Operand("box", 1, step, np.inf, -np.inf), boxes)
        assert bool(levels.on_samples(source, samples, outputs, None, [part])) == few


@pytest.mark.parametrize(
    ("values", "few"),
    [
        ([0.0, 15.9], True),
        ([0.0, 16.1], False),
        ([7.0, 7.0], False),  # never changes: nothing is lost
        ([1000.0, 1000.0005], False),  # nor does this, but for the rounding of floats
        ([np.nan, np.inf], False),
    ],
)
def test_sixteen_levels_are_enough(values: Sequence[float], few: bool) -> None:
    spec = TensorSpec(name="y", shape=(1,), dtype="float32")
    part = Part(0, Operand("y", 1, 1.0, np.inf, -np.inf), np.array([True]))
    for value in values:
        part = levels._widened(
            part, levels._values(np.array([[value]], "float32"), spec), np.ones((1, 1), bool)
        )
    assert part.few == few


def test_infinities_and_padding_widen_no_range() -> None:
    """A constant of -1e9 or masked garbage beside logits of 10: a step of millions must not look fine enough for them."""
    places = np.ones((4,), bool)
    operand = Operand("logits", 1, 4e6, np.inf, -np.inf)
    answers = np.array([[-10.0, 10.0, -1e9, 5e8]], np.float32)
    counts = np.array([[True, True, True, False]])
    part = levels._widened(Part(0, operand, places, apart=1e4), answers, counts)
    assert (part.span, part.few) == (20.0, True)
    assert not levels._widened(Part(0, operand, places), answers, counts).few
