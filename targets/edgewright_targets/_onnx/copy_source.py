"""Ships the .onnx source itself, unless its shapes had to be made static, or the board's runtime needs an older opset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets._onnx import from_onnx
from edgewright_targets._onnx.files import beside, described, share

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Copies the source with its weights, or writes it again."""
    import onnx

    if work.source.changed or work.max_opset is not None:
        from_onnx.convert(work)
    else:
        share(work.path, work.folder / work.entry)
        beside(onnx.load(str(work.path), load_external_data=False), work.path.parent, work.folder)
    return described(work, "")
