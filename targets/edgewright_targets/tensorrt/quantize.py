"""Quantises to int8 for TensorRT, in both of its styles, from one calibration. Host side, in the `onnx` worker.

Explicit: Q and DQ around the layers that have weights, symmetric, with weights in floats before their Q, as TensorRT 10 and
later require. By ranges: the float model and a calibration cache, with which TensorRT 8 is free to fuse; nodes without a
range in the cache, such as masks and joins of outputs with different ranges, are computed in floats.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto
    from onnxruntime.quantization.calibrate import TensorData, TensorsData

    from edgewright.sdk import StageContext, StageResult


CACHE, FLOAT = "calibration.cache", "float.onnx"
_KINDS = ["Conv", "ConvTranspose", "Gemm", "MatMul"]


def quantise(work: StageContext) -> tuple[StageResult, dict[str, str]]:
    """Writes the files.

    Returns:
        (the stage's result, the style of TensorRT 8). Errors as in `finish.convert`.
    """
    import onnx

    from edgewright_targets._onnx import layers, prepare_for_quantization, quantize_static
    from edgewright_targets._onnx.choose_float_nodes import AGAIN
    from edgewright_targets._onnx.files import described, save
    from edgewright_targets._onnx.flatten_gemm_biases import flat_biases

    model = prepare_for_quantization.prepared(work)
    flat_biases(model)
    keep = quantize_static.kept(
        prepare_for_quantization.named(onnx.load(str(work.path))), model, work.keep_float
    )
    wanted = {name for names in keep.values() for name in names}
    idle, found = quantize_static.measured(work, model, None, wanted)
    idle.pop(AGAIN)  # TensorRT fuses these into neighbouring layers
    apart = set().union(*idle.values())
    made = _explicit(onnx.load_from_string(model.SerializeToString()), found, wanted | apart)
    layers.check_float(made, model, keep)
    prepare_for_quantization.used_domains(made)
    save(made, work.folder / work.entry)
    said: StageResult = {
        **described(work, quantize_static.METHODS[work.calibration_method]),
        "kept_float": sorted(keep),
    }
    if keep:  # a cache cannot specify layers that stay in floats
        return said, {}
    prepare_for_quantization.used_domains(model)
    names = _plain(model)
    save(model, work.folder / FLOAT)
    without = quantize_static.inner(model, apart)
    ranges = {name: one for name, one in found.items() if name not in without}
    (work.folder / CACHE).write_bytes(cache({names.get(name, name): one for name, one in ranges.items()}))
    return said, {"model": FLOAT, "calibration": CACHE}


def _explicit(model: ModelProto, found: TensorsData, floats: set[str]) -> ModelProto:
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    from edgewright.sdk import Code, ConversionError

    quantiser = QDQQuantizer(
        model,
        True,  # per channel
        False,  # full range
        QuantType.QInt8,
        QuantType.QInt8,
        found,
        [],
        sorted(floats),
        _KINDS,
        {
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "AddQDQPairToWeight": True,
            "DedicatedQDQPair": True,
            "QuantizeBias": False,
            "QDQDisableWeightAdjustForInt32Bias": True,  # they stay in floats
            "OpTypesToExcludeOutputQuantization": _KINDS,
            "QDQOpTypePerChannelSupportToAxis": {"MatMul": 1},
        },
    )
    quantiser.quantize_model()
    quantiser.model.topological_sort()
    made = quantiser.model.model
    if not any(node.op_type == "QuantizeLinear" for node in made.graph.node):
        raise ConversionError(
            "nothing of the model was quantised: it has no layer that can be, or all are kept in floats",
            hint="keep fewer layers in floats, or take --precision fp16",
            code=Code.NOTHING_QUANTISED,
        )
    return made


def _plain(model: ModelProto) -> dict[str, str]:
    """Removes colons, which end a name in a calibration cache, from names inside the graph, in place.

    Returns:
        {old name: new}. A graph with inner graphs does not change: they may refer to any outer name.
    """
    graph = model.graph
    if any(
        attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute
    ):
        return {}
    ends = {item.name for item in [*graph.input, *graph.output]}
    taken = ends | {name for node in graph.node for name in [*node.input, *node.output]}
    names = {}
    for name in sorted(taken - ends):
        if ":" in name:
            fresh = name.replace(":", "_")
            while fresh in taken:
                fresh += "_"
            taken.add(fresh)
            names[name] = fresh
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for item in [*graph.initializer, *graph.value_info]:
        item.name = names.get(item.name, item.name)
    return names


def cache(found: dict[str, TensorData]) -> bytes:
    """A calibration cache in TensorRT's format: a title, then `<tensor>: <scale in hex>` lines.

    Args:
        found: name -> TensorData, the range of every tensor.

    The scale is the greatest magnitude of the range over 127, as a big-endian float. The board adds its version to the title.
    """
    lines = ["TRT-0-EntropyCalibration2"]
    for name, range_of in sorted(found.items()):
        low, high = (float(end.item()) for end in range_of.range_value)
        scale = max(abs(low), abs(high)) / 127
        if ":" in name or "\n" in name or not math.isfinite(scale):
            continue  # TensorRT keeps tensors without a range in floats
        lines.append(f"{name}: {struct.pack('>f', scale).hex()}")
    return ("\n".join(lines) + "\n").encode()
