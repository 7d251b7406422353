"""SavedModel or ONNX -> IR of the precision that was asked for."""

import re

from edgewright_targets.openvino.files import described, strip


def convert(work):
    """Makes the artifact's files."""
    import openvino as ov

    path = work.path / "model.onnx" if (work.path / "model.onnx").is_file() else work.path
    model = ov.convert_model(str(path))
    inputs = _named(model.inputs, work.inputs)
    model.reshape({port: list(spec.shape) for port, spec in zip(inputs, work.inputs, strict=True)})
    _label(inputs, [spec.name for spec in work.inputs])
    outputs = list(model.outputs)
    if path == work.path:  # a SavedModel's outputs come in no order of their own; their names say it
        outputs = sorted(outputs, key=_number)
    _label(outputs, [spec.name for spec in work.outputs])
    method = ""
    if work.precision == "int8":
        model, method = _static(model, inputs, work), "min-max"
    if work.precision == "int8-dynamic":
        model = _weights(model)
    strip(model)
    ov.save_model(model, str(work.folder / work.entry), compress_to_fp16=work.precision == "fp16")
    return described(work, method)


def _static(model, inputs, work):
    import nncf

    names = [port.get_any_name() for port in inputs]
    dataset = nncf.Dataset(list(range(work.count)), _Feed(work, names))
    return nncf.quantize(
        model,
        dataset,
        subset_size=work.count,
        preset=nncf.QuantizationPreset.MIXED,
        # bias correction, fast or accurate, cost up to 8 dB on two small networks and never gained more than 1
        advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
    )


class _Feed:
    """Turns indexes into samples, so that only one is in memory; the indexes come in order, run after run."""

    def __init__(self, work, names):
        self._work, self._names, self._next, self._stream = work, names, 0, iter(())

    def __call__(self, index):
        if index != self._next or index == 0:
            self._stream, self._next = self._work.samples(), 0
        while self._next <= index:
            sample = next(self._stream)
            self._next += 1
        return dict(zip(self._names, sample, strict=True))


def _weights(model):
    import nncf

    return nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)


def _named(ports, specs):
    """The ports in the order of the specs: by name, else by position."""
    by_name = {
        re.sub(r"[^A-Za-z0-9_]", "_", name.split(":")[0]): port for port in ports for name in port.get_names()
    }
    by_name.update({name: port for port in ports for name in port.get_names()})
    found = [by_name.get(spec.name) for spec in specs]
    return found if all(port is not None for port in found) else list(ports)


def _number(port):
    for name in port.get_names():
        found = re.match(r"output_(\d+)", name)
        if found:
            return int(found.group(1))
    return 0


def _label(ports, names):
    for port, name in zip(ports, names, strict=True):
        port.get_tensor().set_names({name})
