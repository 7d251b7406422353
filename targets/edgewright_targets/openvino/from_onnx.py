"""Writes the ONNX source with its static shapes, which OpenVINO reads directly."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Writes the source; weights that are too large for one file stay in separate files.

    Raises:
        ConversionError: it has operators that OpenVINO lacks.
    """
    from edgewright_targets._onnx.files import beside
    from edgewright_targets._onnx.integer_bounds import check
    from edgewright_targets._onnx.prepare_for_quantization import refuse_classical
    from edgewright_targets._onnx.widen_floats import widened

    refuse_classical(work.source.model, "OpenVINO")
    large = check(work.source.model, work.synthetic)
    model, notes = widened(work.source.model, work)
    (work.folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    beside(model, work.source.path.parent, work.folder)
    return {"notes": [*notes, *large]}
