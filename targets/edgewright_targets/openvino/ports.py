"""The inputs and outputs of a model: their order, names and shapes. Host side."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx.rename_ends import distinct

if TYPE_CHECKING:
    from openvino import Model, Output

    from edgewright.sdk import StageContext


NUMBERED = "edgewright_out_"  # prefix of a SavedModel's output names, followed by their number


def fixed(model: Model, work: StageContext, *, in_order: bool = False) -> Model:
    """The model with the source's static shapes and names, in place.

    Args:
        in_order: its ports are in the source's order, whatever their names.

    Raises:
        ConversionError: an input or an output was lost in conversion.
    """
    from edgewright.sdk import Code, ConversionError

    order = (lambda ports, _: list(ports)) if in_order else _ordered
    inputs = order(model.inputs, [spec.name for spec in work.inputs])
    outputs = order(model.outputs, output_names(work))
    if len(inputs) != len(work.inputs) or len(outputs) != len(work.outputs):
        raise ConversionError(
            f"the converted model has {len(inputs)} inputs and {len(outputs)} outputs, "
            f"the source {len(work.inputs)} and {len(work.outputs)}",
            hint="an input that nothing reads is dropped; remove it from the model",
            code=Code.CONVERSION_FAILED,
        )
    model.reshape({port: list(spec.shape) for port, spec in zip(inputs, work.inputs, strict=True)})
    for ports, names in ((inputs, [spec.name for spec in work.inputs]), (outputs, output_names(work))):
        for port, name in zip(ports, names, strict=True):
            port.get_tensor().set_names({name})
    return model


def output_names(work: StageContext) -> list[str]:
    """The outputs' names in the file: an output with an input's name is renamed."""
    return distinct([spec.name for spec in work.inputs], [spec.name for spec in work.outputs])


def _ordered(ports: list[Output], names: list[str]) -> list[Output]:
    """The ports in the order of the names: by number for a SavedModel, else by name, else unchanged."""
    from edgewright.sdk.graphs import clean

    numbers = [_number(port) for port in ports]
    if sorted(numbers) == list(range(len(ports))):
        return [port for _, port in sorted(zip(numbers, ports, strict=True), key=lambda pair: pair[0])]
    for wanted, form in ((names, str), (clean(names), _plain)):
        there = {form(name): place for place, port in enumerate(ports) for name in port.get_names()}
        found = [there[name] for name in wanted if name in there]
        if sorted(found) == list(range(len(ports))):
            return [ports[place] for place in found]
    return list(ports)


def _plain(name: str) -> Any:
    return re.sub(r"[^A-Za-z0-9_]", "_", name.split(":")[0])


def _number(port: Output) -> int:
    for name in port.get_names():
        found = re.match(NUMBERED + r"(\d+)\b", name)
        if found:
            return int(found.group(1))
    return -1
