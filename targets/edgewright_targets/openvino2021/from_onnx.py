"""Brings the ONNX source to an opset that OpenVINO 2021.4's Model Optimizer reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


TAKEN = 13  # the newest that can be expressed in the older one, see `older`


def convert(work: StageContext) -> StageResult:
    """At `work.max_opset`, else at `TAKEN`, which the next stage rewrites.

    Raises:
        ConversionError: it is too new, and cannot be converted down, or has operators that OpenVINO lacks.
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
