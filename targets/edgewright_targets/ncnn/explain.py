"""Lists the operations of ncnn's `.param`. Host side, in the `onnx` worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright_targets.ncnn import param_file
from edgewright_targets.ncnn.param_file import Layer

_NO_OPERATIONS = ("Input", "Split", "MemoryData")
_FUSED = {  # layer -> id of its fused activation
    "Convolution": "9", "ConvolutionDepthWise": "9", "Convolution1D": "9", "Deconvolution": "9", "InnerProduct": "9",
}  # fmt: skip
_ACTIVATIONS = {"1": "relu", "2": "leakyrelu", "3": "clip", "4": "sigmoid", "5": "mish", "6": "hardswish"}
_SCALED = {
    "Convolution": "8",
    "ConvolutionDepthWise": "8",
    "InnerProduct": "8",
}  # layer -> id of the setting for 8-bit weights
_LAYERS = (*_FUSED, "DeconvolutionDepthWise", "Gemm")
_WITH_WEIGHTS = (*_LAYERS, "MultiHeadAttention", "Embed")
_HALVES = b"\x47\x6b\x30\x01"  # what precedes weights of 16 bits


def executed(path: Path) -> None:
    """None: ncnn runs the layers of the file."""


def shipped(path: Path) -> list[dict[str, Any]]:
    """Rows for `edgewright.sdk.Operation` of the file."""
    layers = param_file.read(path)
    floats = "fp16" if _HALVES in path.with_suffix(".bin").read_bytes() else "fp32"
    makers: dict[str, str] = {}
    rows = []
    for layer in layers:
        takes = [makers[name] for name in layer.takes if name in makers]
        if layer.kind in _NO_OPERATIONS:
            makers.update(
                (name, one) for name in layer.gives for one in takes
            )  # a copy stands for its original
            continue
        makers.update((name, layer.name) for name in layer.gives)
        rows.append(
            {
                "name": layer.name,
                "operator": layer.kind,
                "layer": layer.kind in _LAYERS,
                "takes": takes,
                "absorbed": _absorbed(layer),
                "arithmetic": _arithmetic(layer, floats),
            }
        )
    return rows


def _arithmetic(layer: Layer, floats: str) -> str:
    """The arithmetic of a layer with weights; empty for others."""
    if layer.setting(_SCALED.get(layer.kind, "")) not in ("", "0"):
        return "int8"
    return floats if layer.kind in _WITH_WEIGHTS else ""


def _absorbed(layer: Layer) -> list[str]:
    """The activation that a layer computes as well."""
    found = _ACTIVATIONS.get(layer.setting(_FUSED.get(layer.kind, "")))
    return [found] if found else []
