"""Writes the opened ONNX source with its static shapes, before any quantisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets._onnx.files import beside, save
from edgewright_targets._onnx.lower_opset import lowered
from edgewright_targets._onnx.prepare_for_quantization import named
from edgewright_targets._onnx.widen_floats import widened

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Writes and checks the model, at an older opset if the board's runtime needs it, and in float32 only except for `as-is`."""
    import onnx

    model, notes = widened(lowered(work), work, runs=True)
    named(model)
    _settle_weights(model)
    save(model, work.folder / work.entry)
    beside(model, work.source.path.parent, work.folder)
    onnx.checker.check_model(str(work.folder / work.entry))
    return {"notes": notes}


def _settle_weights(model: ModelProto) -> None:
    """Treats weights that old files list among the inputs as weights, so that nothing can feed them."""
    weights = {item.name for item in model.graph.initializer}
    left = [item for item in model.graph.input if item.name not in weights]
    copies = [type(item).FromString(item.SerializeToString()) for item in left]
    del model.graph.input[:]
    model.graph.input.extend(copies)
