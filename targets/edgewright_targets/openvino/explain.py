"""Lists the operations of OpenVINO IR, and of the graph that its CPU plugin makes from it. Host side, in the `openvino` worker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openvino import Model, Node


_NO_OPERATIONS = ("Parameter", "Result", "Constant")
_PLUGINS_OWN = ("Input", "Output", "Const", "Constant", "Parameter", "Result")
_WIDTHS = {"i8": "int8", "u8": "int8", "i4": "int4", "u4": "int4", "nf4": "int4", "f16": "fp16"}
_RUNS_IN = {"i8": "int8", "u8": "int8", "f32": "fp32", "f16": "fp16", "bf16": "bf16"}
_PASSING = (
    "Convert",
    "Multiply",
    "Subtract",
    "Reshape",
    "FakeQuantize",
    "Transpose",
)  # from constant to weight


def of_source(model: Any, path: Path) -> list[dict[str, Any]]:  # noqa: ARG001 - one signature for all targets
    """Rows for `edgewright.sdk.Operation` of an opened IR source."""
    return of_model(model.model)


def shipped(path: Path) -> list[dict[str, Any]]:
    """Rows for the file."""
    import openvino as ov

    return of_model(ov.Core().read_model(str(path)))


def executed(path: Path) -> list[dict[str, Any]]:
    """Rows of the graph that the CPU plugin executes on this machine.

    A row's `absorbed` holds the operators of the file's layers that were fused into it.
    """
    import openvino as ov

    core = ov.Core()
    model = core.read_model(str(path))
    operators = {item.get_friendly_name(): item.get_type_name() for item in model.get_ops()}
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = []
    for item in compiled.get_runtime_model().get_ordered_ops():
        said = item.get_rt_info()
        kind = _text(said, "layerType") or item.get_type_name()
        if kind in _PLUGINS_OWN:
            continue
        origins = [name for name in _text(said, "originalLayersNames").split(",") if name]
        name = origins[0] if origins else item.get_friendly_name()
        inside = [operators[other] for other in origins[1:] if operators.get(other) not in (None, "Constant")]
        found.append((item, name, kind, inside, _RUNS_IN.get(_text(said, "runtimePrecision"), "")))
    names = {item.get_friendly_name(): name for item, name, *_ in found}
    return [
        {
            "name": name,
            "operator": kind,
            "takes": [names[other] for other in _readable(item) if other in names],
            "absorbed": inside,
            "arithmetic": number,
        }
        for item, name, kind, inside, number in found
    ]


def of_model(model: Model) -> list[dict[str, Any]]:
    """Rows for an OpenVINO model."""
    found = [item for item in model.get_ordered_ops() if item.get_type_name() not in _NO_OPERATIONS]
    found = [item for item in found if not _constant(item)]
    names = {item.get_friendly_name() for item in found}
    return [
        {
            "name": item.get_friendly_name(),
            "operator": item.get_type_name(),
            "takes": [name for name in _readable(item) if name in names],
            "arithmetic": _arithmetic(item),
            "ends": _results(item),
            "largest": _largest(item),
        }
        for item in found
    ]


def _results(item: Node) -> list[str]:
    """Names of the model outputs that it produces."""
    return [
        min(port.get_names() or {item.get_friendly_name()})
        for port in item.outputs()
        if any(each.get_node().get_type_name() == "Result" for each in port.get_target_inputs())
    ]


def _largest(item: Node) -> float:
    """The greatest magnitude among the float constants that it reads, for operators that may be part of a mask."""
    import numpy

    from edgewright.sdk.graphs import MASKING

    found = 0.0
    for port in item.inputs() if item.get_type_name().lower() in MASKING else ():
        node = port.get_source_output().get_node()
        while node.get_type_name() in (*_PASSING, "Broadcast", "Unsqueeze") and _constant(node):
            node = node.input(0).get_source_output().get_node()
        if node.get_type_name() == "Constant" and node.get_element_type().is_real():
            values = numpy.abs(node.get_data().astype(numpy.float64))
            found = max(found, float(values.max())) if values.size else found
    return found


def _text(said: dict[str, Any], key: str) -> str:
    return said[key].astype(str) if key in said else ""


def _readable(item: Node) -> list[str]:
    """Names of the operations that it reads."""
    return [port.get_source_output().get_node().get_friendly_name() for port in item.inputs()]


def _constant(item: Node) -> bool:
    """Whether it only unpacks a constant."""
    if item.get_type_name() == "Constant":
        return True
    sources = [port.get_source_output().get_node() for port in item.inputs()]
    return item.get_type_name() in _PASSING and bool(sources) and all(_constant(each) for each in sources)


def _arithmetic(item: Node) -> str:
    """A layer's arithmetic, according to the file."""
    ports = item.inputs()
    if item.get_type_name() not in ("Convolution", "GroupConvolution", "MatMul", "ConvolutionBackpropData"):
        return ""
    data, weight = (port.get_source_output().get_node() for port in ports[:2])
    width = _stored(weight)
    if data.get_type_name() == "FakeQuantize" and (width or weight.get_type_name() == "FakeQuantize"):
        return "int8"
    if width == "fp16":
        return "fp16"
    return f"{width} weights" if width else "fp32"


def _stored(item: Node) -> str | None:
    """The narrow type that a constant weight is stored in; None for fp32 and for computed values."""
    while item.get_type_name() in _PASSING and item.inputs():
        item = item.inputs()[0].get_source_output().get_node()
    if item.get_type_name() != "Constant":
        return None
    return _WIDTHS.get(item.get_element_type().get_type_name())
