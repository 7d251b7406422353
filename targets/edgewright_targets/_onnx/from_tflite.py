"""Converts .tflite to ONNX of the same precision with tf2onnx."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets._onnx.files import save
from edgewright_targets._onnx.normalize_order import tidy
from edgewright_targets._onnx.rename_ends import rename
from edgewright_targets._onnx.replace_tensorflow_operators import settle
from edgewright_targets._onnx.widen_floats import widened

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Converts at the requested opset. Raises any exception of the converter, which does not support 16-bit activations."""
    import tf2onnx

    opset = work.opset if work.max_opset is None else min(work.opset, work.max_opset)
    model, _ = tf2onnx.convert.from_tflite(str(work.path), opset=opset)
    settle(model)
    tidy(model)
    rename(model, [spec.name for spec in work.inputs], [spec.name for spec in work.outputs])
    model, notes = widened(model, work)
    save(model, work.folder / work.entry)
    return {"notes": notes}
