"""Converts a TensorFlow function to fp32 ONNX with tf2onnx."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets._onnx.files import save
from edgewright_targets._onnx.normalize_order import tidy
from edgewright_targets._onnx.rename_ends import rename
from edgewright_targets._onnx.replace_tensorflow_operators import settle
from edgewright_targets._onnx.widen_floats import widened

if TYPE_CHECKING:
    from onnx import ModelProto
    from tensorflow.types.experimental import ConcreteFunction

    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Converts at the requested opset, or at the newest one allowed."""
    import tf2onnx
    from tensorflow import TensorSpec

    from edgewright.sdk.graphs import clean

    names = clean([spec.name for spec in work.inputs])
    signature = [
        TensorSpec(spec.shape, spec.dtype, name=name) for spec, name in zip(work.inputs, names, strict=True)
    ]
    opset = work.opset if work.max_opset is None else min(work.opset, work.max_opset)
    if work.source.loops:  # tf2onnx finds TensorFlow 1's loops in a graph, not inside a function
        graph, starts, stops = work.source.loops
        model, _ = tf2onnx.convert.from_graph_def(
            graph, input_names=list(starts), output_names=list(stops), opset=opset
        )
    else:
        serve = work.source.module.serve
        model, _ = tf2onnx.convert.from_function(serve, input_signature=signature, opset=opset)
        embed_constants(model, serve.get_concrete_function(*signature))
    settle(model)
    tidy(model)
    rename(model, [spec.name for spec in work.inputs], [spec.name for spec in work.outputs])
    model, notes = widened(model, work)
    save(model, work.folder / work.entry)
    return {"notes": notes}


def embed_constants(model: ModelProto, function: ConcreteFunction) -> None:
    """Turns inputs that stand for captured tensors into initializers, in place.

    Freezing replaces captured variables only. A constant that was created outside the function, such as a table of
    positions that a Keras model adds, would stay an input that nothing feeds.
    """
    from onnx import numpy_helper

    captured = {inner.name: outer for outer, inner in function.graph.captures if hasattr(outer, "numpy")}
    left = [item for item in model.graph.input if item.name not in captured]
    for item in model.graph.input:
        if item.name in captured:
            value = captured[item.name].numpy()
            model.graph.initializer.append(numpy_helper.from_array(value, item.name))
    del model.graph.input[:]
    model.graph.input.extend(left)
