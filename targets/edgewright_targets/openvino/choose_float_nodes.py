"""Decides which operations stay in floats by default when a model is quantised, and why. Host side, in the `openvino` worker."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from edgewright_targets.openvino.explain import of_model
from edgewright_targets.openvino.target import MASKED_PRODUCTS

if TYPE_CHECKING:
    from openvino import Model, Node, Output

    from edgewright.sdk import Operation, StageContext


_LOOKED_AT = 32  # samples that are run to find the width of each tensor
_SHOWN = 8  # names listed in a note
_MASK = 3  # the input of attention that is added to the products
_ATTENTION = "masked attention"
_NEITHER = "8 bits hold neither its range nor its differences"
_TOO_FAR = "a scale that reaches so far leaves nothing beside it"


def floats(model: Model, work: StageContext) -> tuple[dict[str, set[str]], list[str]]:
    """{kind of group: names of operations} and notes, for masks and fills. NNCF itself leaves ends in floats."""
    found, notes = _groups(model, work)
    if attention := masked_attention(model):
        found[_ATTENTION] = set(attention)
        notes.append(
            _note(attention, "attention with a mask: the runtime's own of 8 bits computes it wrongly")
        )
    return found, notes


def masked_attention(model: Model) -> list[str]:
    """Names of attention in one operation that adds a mask of floats.

    In 8 bits, OpenVINO 2026.4 answers wrongly there: 0 dB of SQNR on x86 with AMX, 38 dB with it in floats.
    """
    return [
        one.get_friendly_name()
        for one in model.get_ordered_ops()
        if one.get_type_name() == "ScaledDotProductAttention"
        and len(one.inputs()) > _MASK
        and one.input(_MASK).get_element_type().is_real()
    ]


def _groups(model: Model, work: StageContext) -> tuple[dict[str, set[str]], list[str]]:
    import msgspec

    from edgewright.sdk import Operation
    from edgewright.sdk.graphs import ENDS, POWERS, groups, in_doubt

    rows = [msgspec.convert(row, Operation) for row in of_model(model)]
    doubtful = in_doubt(rows)
    spans = _spans(model, work, doubtful) if doubtful else {}
    known = {one.get_friendly_name(): one for one in model.get_ops()}
    rows = [_measured(row, known[row.name], spans) if row.name in doubtful else row for row in rows]
    found = [group for group in groups(rows, products=MASKED_PRODUCTS, measured=True) if group.kind != ENDS]
    said = [
        _note(group.names, f"{group.words}: {_NEITHER if group.kind == POWERS else _TOO_FAR}")
        for group in found
    ]
    return {group.kind: set(group.names) for group in found}, said


def _note(names: Sequence[str], why: str) -> str:
    shown, count = ", ".join(names[:_SHOWN]), len(names)
    more = f" and {count - _SHOWN} more" if count > _SHOWN else ""
    many = "1 operation stays" if count == 1 else f"{count} operations stay"
    return f"{many} in floats, {why}: {shown}{more}"


def _measured(
    row: Operation, operation: Node, spans: dict[tuple[str, int], tuple[float, float]]
) -> Operation:
    import msgspec

    def width(port: Output) -> float:
        low, high = spans.get(_key(port), (0.0, 0.0))
        return max(high, 0.0) - min(low, 0.0)

    widths = [width(port.get_source_output()) for port in operation.inputs()]
    made = max((width(port) for port in operation.outputs()), default=0.0)
    return msgspec.structs.replace(row, widths=tuple(filter(None, widths)), width=made)


def _key(port: Output) -> tuple[str, int]:
    return port.get_node().get_friendly_name(), port.get_index()


def _spans(model: Model, work: StageContext, names: set[str]) -> dict[tuple[str, int], tuple[float, float]]:
    """{(operation, index of its output): (least, greatest value)} of the floats that the operations read and write."""
    import openvino as ov

    from edgewright_targets._onnx.widen_floats import wide

    copy, wanted = model.clone(), {}
    for one in copy.get_ops():
        if one.get_friendly_name() in names:
            for port in [*(each.get_source_output() for each in one.inputs()), *one.outputs()]:
                if port.get_element_type().is_real() and port.get_node().get_type_name() != "Constant":
                    wanted[_key(port)] = port
    copy.add_outputs(list(wanted.values()))
    ends = [_key(port.get_node().input(0).get_source_output()) for port in copy.outputs]
    compiled = ov.Core().compile_model(copy, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    inputs = [spec.name for spec in work.inputs]
    found: dict[tuple[str, int], tuple[float, float]] = {}
    for sample in work.samples(_LOOKED_AT):
        answers = compiled(dict(zip(inputs, map(wide, sample), strict=True)))
        for key, array in zip(ends, (answers[place] for place in range(len(ends))), strict=True):
            low, high = found.get(key, (0.0, 0.0))
            found[key] = min(low, float(array.min(initial=0))), max(high, float(array.max(initial=0)))
    return found


def shield(model: Model, names: Collection[str]) -> None:
    """Inserts a Maximum with the lowest float before operands that the operations read from elsewhere, in place.

    The runtime moves the scale of an 8-bit layer past the additions behind it: if it meets 1e9, float32 has no digits left
    for the results. The Maximum changes no value, and no scale moves past it.
    """
    import numpy
    import openvino as ov

    opset = ov.opset8
    lowest = opset.constant(numpy.array(numpy.finfo("float32").min, "float32"), name="edgewright_lowest")
    kept = {}
    for one in model.get_ordered_ops():
        if one.get_friendly_name() not in names:
            continue
        for port in one.inputs():
            source = port.get_source_output()
            node = source.get_node()
            outside = node.get_friendly_name() not in names and node.get_type_name() not in (
                "Constant",
                "Parameter",
            )
            if outside and source.get_element_type() == ov.Type.f32:
                key = _key(source)
                if key not in kept:
                    kept[key] = opset.maximum(
                        source, lowest, name=f"{node.get_friendly_name()}_{source.get_index()}_kept"
                    )
                port.replace_source_output(kept[key].output(0))
