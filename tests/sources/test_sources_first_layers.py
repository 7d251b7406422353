"""Numbers that a model measures are not taken for masks, pictures or indexes, and what nobody can tell is left open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgewright.compile.data import input_domains
from edgewright.compile.data.input_domains import InputDomain
from edgewright.compile.sources import onnx_layers
from edgewright.compile.sources.first_layers import Graph, Step
from edgewright.nouns.artifact import TensorSpec

CONSTANTS = {
    "one": 1.0, "hundredth": 0.01, "quarter": 0.25, "low": -1e4, "high": 1e4, "k20": 20.0, "k127": 127.0, "k255": 255.0, "k999": -999.0,
    "root": 512**-0.5, "infinite": np.inf, "angles": np.ones(4), "row": np.full((1, 2), 500.0), "weights": np.ones((4, 2)),
}  # fmt: skip
TYPES = {
    "uint8": TensorProto.UINT8,
    "int16": TensorProto.INT16,
    "int64": TensorProto.INT64,
    "float32": TensorProto.FLOAT,
}


def steps(*lines: str) -> list[NodeProto]:
    """Nodes of lines such as `y = Sub one c`; the input `x` is `c` in floats."""
    split = [line.replace(" = ", " ").split() for line in lines]
    return [helper.make_node(kind, inputs, [out], **_attributes(kind)) for out, kind, *inputs in split]


def _attributes(kind: str) -> dict[str, Any]:
    return {"Concat": {"axis": 1}, "Cast": {"to": TensorProto.FLOAT}, "Constant": {"value_float": 255.0}}.get(
        kind, {}
    )


def seen(dtype: str, *lines: str) -> InputDomain | None:
    """What is seen of `x`, beside which `z` is another input."""
    nodes = [helper.make_node("Cast", ["x"], ["c"], to=TensorProto.FLOAT), *steps(*lines)]
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", TYPES[dtype], [1, 4]), helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(array, np.float32), name) for name, array in CONSTANTS.items()],
    )  # fmt: skip

    class Opened:
        inputs = (TensorSpec(name="x", shape=(1, 4), dtype=dtype),)

        def first_layers(self) -> tuple[Graph, tuple[str, ...]]:
            return onnx_layers.read(helper.make_model(graph)), ("x",)

    return input_domains.of(Opened())[0]


@pytest.mark.parametrize(
    ("dtype", "lines"),
    [
        ("int64", ["a = Sub c one", "b = Mul a quarter", "y = MatMul b weights"]),  # a rating from 1 to 5
        ("int64", ["m = Equal c k999", "a = Mul c quarter", "b = Where m one a", "y = MatMul b weights"]),
        ("int16", ["w = Cos angles", "a = Mul c w", "y = MatMul a weights"]),  # sound and its window
        ("int64", ["s = ReduceSum c", "y = Mul c s"]),
        ("uint8", ["a = Greater c k127", "y = Cast a"]),  # a picture of which dark and bright is made
        ("uint8", ["h = Relu z", "y = Mul c h"]),
        ("float32", ["a = Mul c root", "y = MatMul a weights"]),
        ("float32", ["a = Div c k20", "y = MatMul a weights"]),
        (
            "float32",
            ["h = Relu z", "r = Concat h row", "a = Sub c r", "b = Div a k255", "y = MatMul b weights"],
        ),
    ],
)
def test_what_nobody_can_tell(dtype: str, lines: list[str]) -> None:
    assert seen(dtype, *lines) is None


@pytest.mark.parametrize(
    ("dtype", "lines"),
    [
        ("int64", ["h = Relu z", "y = Mul c h"]),
        ("int64", ["h = Relu z", "r = Concat h row", "y = Mul c r"]),  # a part of it is a constant
        ("int64", ["h = Relu z", "r = Dropout h quarter", "y = Mul c r"]),
        ("int64", ["a = Equal c infinite", "h = Relu z", "y = Mul c h"]),
        ("int64", ["a = Sub c one", "y = Mul a high"]),
        ("int64", ["a = Sub one c", "y = Mul a quarter"]),
        ("float32", ["a = Sub one c", "y = Mul a low"]),
        ("float32", ["a = Sub c one", "y = Mul a high"]),
    ],
)
def test_masks(dtype: str, lines: list[str]) -> None:
    found = seen(dtype, *lines)
    assert found is not None and (found.cause, found.range) == ("mask", (0, 1))


def test_a_measured_value_around_1_is_no_mask() -> None:
    found = seen("float32", "a = Sub c one", "b = Div a hundredth", "y = MatMul b weights")
    assert found is not None and found.cause == "normalization"
    assert found.range == pytest.approx((0.97, 1.03))


def test_constants_that_an_operator_holds() -> None:
    found = seen("float32", "k = Constant", "a = Div c k", "y = MatMul a weights")
    assert found is not None and (found.cause, found.range) == ("rescaling", (0, 255))


def test_an_input_that_nobody_understands_hides_no_other() -> None:
    class Opened:
        inputs = tuple(TensorSpec(name=name, shape=(1, 4), dtype="int64") for name in ("strange", "ids"))

        def first_layers(self) -> tuple[Graph, tuple[str, ...]]:
            found = [Step("add", ("strange", "text"), "a"), Step("lookup", ("ids",), "b", 7)]
            held = {"text": np.array("not a number")}
            return Graph(found, held.get, ("strange", "ids")), ("strange", "ids")

    strange, ids = input_domains.of(Opened())
    assert strange is None and ids is not None and ids.range == (0, 6)


def test_what_a_loop_changes_is_no_constant() -> None:
    """Its state starts at 255 and is doubled; what it is handed is followed to the table inside."""
    value = helper.make_tensor_value_info
    inside = [
        helper.make_node("Identity", ["on"], ["on_out"]),
        helper.make_node("Add", ["state", "state"], ["state_out"]),
        helper.make_node("Identity", ["index"], ["index_out"]),
        helper.make_node("Gather", ["table", "index"], ["row"]),
        helper.make_node("Div", ["x", "state"], ["share"]),
    ]
    given = [value("turn", 7, []), value("on", 9, []), value("state", 1, []), value("index", 7, [1])]
    made = [value(name, 0, None) for name in ("on_out", "state_out", "index_out", "row", "share")]
    table = numpy_helper.from_array(np.ones((7, 2), np.float32), "table")
    body = helper.make_graph(inside, "body", given, made, [table])
    loop = helper.make_node("Loop", ["", "", "k255", "ids"], ["last", "i", "rows", "shares"], body=body)
    held = numpy_helper.from_array(np.float32(255), "k255")
    given = [value("ids", 7, [1]), value("x", 1, [4])]
    graph = helper.make_graph([loop], "net", given, [value("shares", 1, None)], [held])

    class Opened:
        inputs = tuple(
            TensorSpec(name=name, shape=(4,), dtype=one) for name, one in (("ids", "int64"), ("x", "float32"))
        )

        def first_layers(self) -> tuple[Graph, tuple[str, ...]]:
            return onnx_layers.read(helper.make_model(graph)), ("ids", "x")

    ids, x = input_domains.of(Opened())
    assert ids is not None and ids.range == (0, 6)
    assert x is None
