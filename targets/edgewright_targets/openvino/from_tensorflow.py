"""Writes a TensorFlow function as a SavedModel or ONNX with static shapes, which OpenVINO reads directly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tensorflow.core.framework.graph_pb2 import GraphDef

    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult | None:
    """Writes the function, frozen.

    It becomes `model.onnx` if layers are named, since only ONNX keeps the names of convolutions; if a graph has TensorFlow 1's
    own loops, which OpenVINO does not read; and if it computes in halves, which become float32 on the way.
    """
    if work.keep_float or work.source.loops or _halves(work.source.concrete.graph.as_graph_def()):
        from edgewright_targets._onnx.from_tensorflow import convert

        said = convert(work)
        (work.folder / work.entry).rename(work.folder / "model.onnx")
        return said
    _saved_model(work)
    return None


def _halves(graph: GraphDef) -> bool:
    from tensorflow.core.framework import types_pb2

    nodes = [*graph.node, *(node for item in graph.library.function for node in item.node_def)]
    kinds = {item.type for node in nodes for item in node.attr.values()}
    return bool(kinds & {types_pb2.DT_HALF, types_pb2.DT_BFLOAT16})


def _saved_model(work: StageContext) -> None:
    """Writes a SavedModel, with variables turned into constants first: OpenVINO misses those deep in an object's attributes."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from edgewright.sdk.graphs import clean
    from edgewright_targets.openvino.ports import NUMBERED

    # loops stay functions: OpenVINO does not read TensorFlow 1's Switch and Merge with several exits
    frozen = convert_variables_to_constants_v2(work.source.concrete, lower_control_flow=False)

    def serve(*tensors: Any) -> Any:
        return {
            f"{NUMBERED}{index}": tensor for index, tensor in enumerate(tf.nest.flatten(frozen(*tensors)))
        }

    names = clean([spec.name for spec in work.inputs])
    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for spec, name in zip(work.inputs, names, strict=True)
    ]
    signature = tf.function(serve, input_signature=specs, autograph=False)
    module = tf.Module()
    module.serve = signature
    tf.saved_model.save(module, str(work.folder), signatures=signature.get_concrete_function())
