"""Turns fp32 ONNX into ncnn's `model.param` and `model.bin`.

ncnn has no batch axis and no names of inputs and outputs: pnnx calls them `in0`, `out0`. The manifest has the source's names with
these as `tensor`, and the input layers in `model.param` have the shapes that the runner feeds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_targets.ncnn import layer_releases, param_file
from edgewright_targets.ncnn.distinct_outputs import made_distinct
from edgewright_targets.ncnn.index_inputs import widen
from edgewright_targets.ncnn.input_shapes import with_shapes
from edgewright_targets.ncnn.integer_ends import INDEXES, refuse_negative, refuse_readers, refuse_types
from edgewright_targets.ncnn.param_file import Layer
from edgewright_targets.ncnn.quantize import quantised
from edgewright_targets.ncnn.restate import restated
from edgewright_targets.ncnn.run_pnnx import converted

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgewright.sdk import StageContext, StageResult, TensorReport, TensorSpec


def convert(work: StageContext) -> StageResult:
    """Makes the artifact's files.

    Raises:
        ConversionError: pnnx cannot convert an operator, which the error names; ncnn lacks a type or a shape.
        UsageError: integer inputs and outputs, which this target lacks.
    """
    import onnx

    from edgewright.sdk import UsageError
    from edgewright_targets._onnx.finish import refuse_large
    from edgewright_targets._onnx.prepare_for_quantization import refuse_classical

    if work.integer_io:
        raise UsageError("ncnn has floats at inputs and outputs", hint="leave --integer-io out")
    refuse_large(work)
    model = restated(onnx.load(str(work.path)))
    refuse_classical(model, "ncnn")
    refuse_types(work.inputs, work.outputs)
    if any(spec.dtype in INDEXES for spec in work.inputs):
        refuse_negative(work.inputs, work.samples())
    widen(model)
    places = made_distinct(model)
    layers, weights, method = _converted(model, work)
    (work.folder / work.entry).with_suffix(".bin").write_bytes(weights)
    refuse_readers(work.inputs, layers)
    outputs = [f"out{place}" for place in places]
    layers, outputs = _repeated(layers, outputs)
    param_file.write(layers, work.folder / work.entry)
    return {
        "inputs": [_end(spec, f"in{place}") for place, spec in enumerate(work.inputs)],
        "outputs": [_end(spec, name) for spec, name in zip(work.outputs, outputs, strict=True)],
        "requires": {"release": layer_releases.least(layers)},
        "method": method,
        "kept_float": list(work.keep_float),
        "notes": [],
    }


def _end(spec: TensorSpec, tensor: str) -> TensorReport:
    """An input or output: floats are float32 in ncnn, whatever the source uses."""
    return {"name": tensor, "dtype": spec.dtype if spec.dtype in INDEXES else "float32"}


def _converted(model: ModelProto, work: StageContext) -> tuple[list[Layer], bytes, str]:
    """Runs pnnx, and quantises what it made. Returns the layers, the contents of the `.bin`, and the calibration method."""
    import onnx

    import ncnn

    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        source = Path(scratch) / "source.onnx"
        onnx.save(model, str(source))
        made = converted(source, work.traits.half, lambda kind: ncnn.layer_to_index(kind) >= 0, _nodes(model))
        layers = with_shapes(made.layers, work.inputs, made.batch_axes)
        if not work.traits.calibrated:
            return layers, made.weights.read_bytes(), ""
        param = made.weights.with_suffix(".param")
        param_file.write(layers, param)
        return quantised(param, layers, work)


def _nodes(model: ModelProto) -> dict[str, list[str]]:
    """{kind of operator: names of its nodes}."""
    found: dict[str, list[str]] = {}
    for node in model.graph.node:
        found.setdefault(node.op_type, []).append(node.name or node.output[0])
    return found


def _repeated(layers: list[Layer], outputs: list[str]) -> tuple[list[Layer], list[str]]:
    """Copies a tensor that several outputs have, so that each output has its own name.

    Returns:
        the layers, and the outputs' names.
    """
    layers, names = list(layers), list(outputs)
    for repeated in sorted({name for name in outputs if outputs.count(name) > 1}):
        places = [place for place, name in enumerate(outputs) if name == repeated]
        for number, place in enumerate(places):
            names[place] = f"{repeated}_{number}"
        gives = tuple(names[place] for place in places)
        layers.append(Layer("Split", f"copies_of_{repeated}", (repeated,), gives))
    return layers, names
