"""The first layers of a .tflite model, for `compile.data.input_domains`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgewright.compile.sources.first_layers import SMALL, Graph, Step

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_KINDS = {
    "RESHAPE": "moved", "SQUEEZE": "moved", "EXPAND_DIMS": "moved", "TRANSPOSE": "moved", "BROADCAST_TO": "moved", "TILE": "moved",
    "STRIDED_SLICE": "moved", "SLICE": "moved", "PAD": "moved", "CONCATENATION": "moved", "SPLIT": "moved", "UNPACK": "moved",
    "MUL": "mul", "ADD": "add", "SUB": "sub", "DIV": "div", "MAXIMUM": "max", "MINIMUM": "min", "SQRT": "sqrt",
    "EQUAL": "equal", "NOT_EQUAL": "equal", "GREATER": "order", "GREATER_EQUAL": "order", "LESS": "order", "LESS_EQUAL": "order",
    "LOGICAL_NOT": "truth", "LOGICAL_AND": "truth", "LOGICAL_OR": "truth",
    "SELECT": "select", "SELECT_V2": "select", "IF": "condition", "SHAPE": "shape", "SUM": "sum", "CUMSUM": "sum", "REDUCE_MAX": "sum",
}  # fmt: skip
_ONE_VALUE = {"RESHAPE", "EXPAND_DIMS", "TRANSPOSE", "BROADCAST_TO", "TILE", "STRIDED_SLICE", "SLICE", "PAD", "SUM", "CUMSUM", "REDUCE_MAX"}  # fmt: skip


def read(interpreter: Any) -> Graph:
    """The graph of an interpreter whose tensors are allocated. Tensors are named by index."""
    import numpy as np

    operators = interpreter._get_ops_details()
    details = {item["index"]: item for item in interpreter.get_tensor_details()}
    made = {at for item in operators for at in item["outputs"]}
    given = {item["index"] for item in interpreter.get_input_details()}

    def value(name: str) -> Array | None:
        at = int(name) if name else -1
        item = details.get(at)
        if (
            item is None
            or at in made
            or at in given
            or math.prod(item["shape"]) > SMALL
            or item["quantization"][0]
        ):
            return None
        return np.array(interpreter.get_tensor(at))

    def steps() -> Iterator[Step]:
        for item in operators:
            inputs = tuple(str(at) if at >= 0 else "" for at in item["inputs"])
            yield from _steps(item, inputs, details, value)

    return Graph(steps(), value, map(str, given))


def _steps(
    item: dict[str, Any], inputs: tuple[str, ...], details: dict[int, Any], value: Any
) -> Iterator[Step]:
    """The steps of one operator. A lookup's axis is not available here; it is assumed to be the first, as nearly always."""
    name, outputs = item["op_name"], [str(at) for at in item["outputs"]]
    if name in ("GATHER", "EMBEDDING_LOOKUP"):
        table, indexes = (0, 1) if name == "GATHER" else (1, 0)
        shape = details[int(inputs[table])]["shape"]
        yield Step("lookup", (inputs[indexes],), outputs[0], int(shape[0]) if len(shape) else 0)
        yield Step("moved", (inputs[table],), outputs[0])
        return
    if name == "ONE_HOT":
        depth = value(inputs[1])
        yield Step("lookup", inputs[:1], outputs[0], 0 if depth is None else int(depth.reshape(-1)[0]))
        return
    kind = _KINDS.get(name, "other")
    if name == "CAST":
        kind = "truth" if details[int(outputs[0])]["dtype"].__name__.startswith("bool") else "same"
    if name in _ONE_VALUE:
        yield from (Step("shape", (one,), f"{outputs[0]}'") for one in inputs[1:])
        inputs = inputs[:1]
    elif name == "SPLIT":  # the axis comes first
        inputs = inputs[1:]
    elif name == "IF":  # its branches are not read
        yield from (Step("other", inputs[1:], output) for output in outputs)
        inputs = inputs[:1]
    for output in outputs or [""]:
        yield Step(kind, inputs, output)
