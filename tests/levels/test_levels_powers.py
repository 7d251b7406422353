"""What is computed from squares stays in floats, and what is normalised."""

from __future__ import annotations

from typing import Any

from edgewright.compile.graph.float_groups import POWERS, groups
from edgewright.compile.graph.operations import Operation
from edgewright.compile.graph.powers import powers


def op(name: str, operator: str, *takes: str, **more: Any) -> Operation:
    return Operation(name=name, operator=operator, takes=takes, **more)


NORMALISED = [
    op("layer", "MatMul"), op("gate", "Sigmoid", "layer"), op("x", "Mul", "layer", "gate"),
    op("mean", "ReduceMean", "x"), op("apart", "Sub", "x", "mean"), op("square", "Mul", "apart", "apart"),
    op("variance", "ReduceMean", "square"), op("more", "Add", "variance"), op("root", "Sqrt", "more"),
    op("normal", "Div", "apart", "root"), op("scaled", "Mul", "normal"), op("shifted", "Add", "scaled"),
    op("next", "MatMul", "shifted"), op("summed", "Add", "next", "shifted"), op("end", "Relu", "summed"),
]  # fmt: skip


def test_a_normalisation_that_is_spelt_out() -> None:
    kept = {"x", "mean", "apart", "square", "variance", "more", "root", "normal", "scaled", "shifted"}
    assert powers(NORMALISED) == kept
    (group,) = groups(NORMALISED, measured=True)
    assert (group.kind, set(group.names)) == (POWERS, kept)
    assert groups(NORMALISED) == ()


def test_a_cube_up_to_the_function_with_bounds() -> None:
    graph = [
        op("x", "Conv"), op("square", "Mul", "x", "x"), op("cube", "Mul", "square", "x"), op("part", "Mul", "cube"),
        op("sum", "Add", "x", "part"), op("bent", "Tanh", "sum"), op("half", "Add", "bent"), op("y", "Mul", "x", "half"),
    ]  # fmt: skip
    assert powers(graph) == {"square", "cube", "part", "sum", "bent"}


def test_what_only_looks_like_it() -> None:
    swish = [op("x", "Conv"), op("gate", "HardSigmoid", "x"), op("y", "Mul", "x", "gate")]
    clipped = [
        op("x", "Conv"),
        op("shifted", "Add", "x"),
        op("gate", "Clip", "shifted"),
        op("y", "Mul", "x", "gate"),
    ]
    scaled = [op("x", "Conv"), op("c", "Mul", fixed=True), op("y", "Mul", "x", "c"), op("z", "Add", "y", "x")]
    for graph in (swish, clipped, scaled):
        assert powers(graph) == set()


def test_another_activation_ends_it() -> None:
    graph = [
        op("x", "Conv"),
        op("square", "Pow", "x"),
        op("other", "Conv"),
        op("sum", "Add", "square", "other"),
    ]
    assert powers(graph) == {"square"}
