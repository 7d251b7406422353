"""Converts the ONNX source to an opset that OpenVINO 2021.4's Model Optimizer can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


TAKEN = 13  # the newest opset that can be rewritten to the older one, see `lower_to_opset_12`


def convert(work: StageContext) -> StageResult:
    """Writes the model at `work.max_opset`, or else at `TAKEN`, which the next stage rewrites.

    Raises:
        ConversionError: its opset is too new and cannot be lowered, or it has operators that OpenVINO lacks.
    """
    from edgewright.sdk import ConversionError
    from edgewright_targets._onnx.from_onnx import convert
    from edgewright_targets._onnx.integer_bounds import check
    from edgewright_targets._onnx.prepare_for_quantization import refuse_classical

    refuse_classical(work.source.model, "OpenVINO 2021.4")
    large = check(work.source.model, work.synthetic)
    try:
        said = convert(work)
    except ConversionError:
        work.max_opset = TAKEN
        said = convert(work)
    return {"notes": [*said["notes"], *large]}
