"""Converts an exported PyTorch program to fp32 IR, or to ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright_targets.openvino.ports import fixed

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Converts with OpenVINO's own reader.

    It becomes `model.onnx` if layers are named, as only ONNX keeps the names of modules, and if there are float types other than
    float32, which are converted on the way.
    """
    import openvino as ov

    if work.keep_float or _others(work.source.program):
        from edgewright_targets._onnx.from_torch import convert

        found = convert(work)
        (work.folder / work.entry).rename(work.folder / "model.onnx")
        return found
    model = fixed(ov.convert_model(work.source.program), work, in_order=True)
    ov.save_model(model, str(work.folder / work.entry), compress_to_fp16=False)
    return {}


def _others(program: Any) -> bool:
    import torch

    weights = [*program.state_dict.values(), *program.constants.values()]
    return any(
        getattr(one, "dtype", None) in (torch.float16, torch.bfloat16, torch.float64) for one in weights
    )
