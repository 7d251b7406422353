"""The inputs and outputs of a model: their order, names and shapes. Host side."""

import re


def fixed(model, work):
    """The model with the source's static shapes and names, in place.

    Raises:
        ConversionError: an input or an output got lost on the way.
    """
    from edgewright.errors import ConversionError

    inputs, outputs = _ordered(model.inputs, work.inputs), _ordered(model.outputs, work.outputs)
    if len(inputs) != len(work.inputs) or len(outputs) != len(work.outputs):
        raise ConversionError(
            f"the converted model has {len(inputs)} inputs and {len(outputs)} outputs, "
            f"the source {len(work.inputs)} and {len(work.outputs)}",
            hint="an input that nothing reads is dropped; remove it from the model",
            code="conversion-failed",
        )
    model.reshape({port: list(spec.shape) for port, spec in zip(inputs, work.inputs, strict=True)})
    label(inputs, work.inputs)
    label(outputs, work.outputs)
    return model


def label(ports, specs):
    """Gives the ports the names of the specs."""
    for port, spec in zip(ports, specs, strict=True):
        port.get_tensor().set_names({spec.name})


def _ordered(ports, specs):
    """The ports in the order of the specs: by name, else by the number that a SavedModel's have, else as they come."""
    by_name = {_plain(name): place for place, port in enumerate(ports) for name in port.get_names()}
    by_name.update({name: place for place, port in enumerate(ports) for name in port.get_names()})
    found = [by_name.get(spec.name) for spec in specs]
    if sorted(place for place in found if place is not None) == list(range(len(ports))):
        return [ports[place] for place in found]
    numbers = [_number(port) for port in ports]
    if sorted(numbers) == list(range(len(ports))):
        return [port for _, port in sorted(zip(numbers, ports, strict=True), key=lambda pair: pair[0])]
    return list(ports)


def _plain(name):
    return re.sub(r"[^A-Za-z0-9_]", "_", name.split(":")[0])


def _number(port):
    for name in port.get_names():
        found = re.match(r"output_(\d+)\b", name)
        if found:
            return int(found.group(1))
    return -1
