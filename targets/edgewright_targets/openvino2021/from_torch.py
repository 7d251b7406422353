"""Exports PyTorch to ONNX at an opset that OpenVINO 2021.4's Model Optimizer can read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_targets.openvino2021.from_onnx import TAKEN

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


_ATTENTION = 14  # the first opset in which the exporter writes attention


def convert(work: StageContext) -> StageResult:
    """Exports at `work.max_opset`, or at the lowest newer opset that can be rewritten to it.

    Raises:
        ConversionError: an operator needs an even newer one.
    """
    from edgewright.sdk import Code, ConversionError
    from edgewright_targets._onnx.from_torch import convert

    for opset in (work.max_opset or TAKEN, TAKEN, _ATTENTION):
        work.opset = work.max_opset = opset
        try:
            found = convert(work)
            break
        except ConversionError as error:
            if error.code != Code.OPSET_TOO_NEW or opset == _ATTENTION:
                raise
    if work.max_opset == _ATTENTION:
        _restate(work.folder / work.entry)
    return found


def _restate(path: Path) -> None:
    """Rewrites the file at `TAKEN`."""
    import onnx

    from edgewright.sdk import Code, ConversionError
    from edgewright.sdk.failures import telling
    from edgewright_targets._onnx.files import save
    from edgewright_targets._onnx.rewrite_for_opset import restated

    try:
        save(restated(onnx.load(str(path)), TAKEN), path)
    except Exception as error:
        raise ConversionError(
            f"torch cannot export the module to ONNX at opset {TAKEN}: {telling(error)}",
            hint="change the operator that is named, or take another target",
            code=Code.OPSET_TOO_NEW,
        ) from error
