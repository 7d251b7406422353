"""Writes the ONNX source for TensorRT: as for other runtimes, but nodes of TensorRT's plug-ins stay as they are. Host side, `onnx` worker.

In the source, such a node calls a function of the model of the same name, with which the host computes its results. Other
functions are inlined. TensorRT takes the plug-in for the node: 8 knows no functions, 10.7 and later prefer plug-ins to them.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from edgewright_targets.tensorrt.operator_table import PLUGINS

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Writes the model. Errors as in `_onnx.from_onnx` and, for `as-is`, `_onnx.copy_source`."""
    from edgewright_targets._onnx import copy_source, from_onnx

    kept = _with_plugins(work)
    if kept is not None:
        work.source = copy.copy(work.source)
        work.source.model = kept
    return copy_source.convert(work) if work.traits.as_is else from_onnx.convert(work)


def _with_plugins(work: StageContext) -> ModelProto | None:
    """The source with all of its functions inlined but those of plug-ins, and static shapes; None if it has no such function."""
    import onnx
    from onnx import inliner

    if work.source.large:
        return None
    bare = onnx.load(str(work.source.path), load_external_data=False)
    plugins = [(function.domain, function.name) for function in bare.functions if function.name in PLUGINS]
    if not plugins:
        return None
    given = onnx.load(str(work.source.path))
    model: ModelProto = inliner.inline_selected_functions(given, plugins, exclude=True)
    shapes = {spec.name: spec.shape for spec in work.inputs}
    for item in model.graph.input:
        for axis, size in zip(item.type.tensor_type.shape.dim, shapes.get(item.name, ()), strict=False):
            axis.dim_value = size
    return model
