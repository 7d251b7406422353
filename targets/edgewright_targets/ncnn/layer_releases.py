"""Which releases of ncnn know which layers. A release is the date in a version: 20261020 is 1.0.20261020."""

from __future__ import annotations

from edgewright_targets.ncnn.param_file import Layer

FIRST = 20250503  # the last with wheels for Python 3.6 to 3.8
PINNED = 20261020
_NEWER_LAYERS = ("Flip", "SDPA", "RotaryEmbed")
_NEWER_OPERATIONS = {
    "BinaryOp": 11,
    "UnaryOp": 19,
}  # layer -> the last operation (parameter 0) that FIRST has


def least(layers: list[Layer]) -> int:
    """The oldest of the two releases that runs these layers."""
    return PINNED if any(_is_newer(layer) for layer in layers) else FIRST


def _is_newer(layer: Layer) -> bool:
    last = _NEWER_OPERATIONS.get(layer.kind)
    return layer.kind in _NEWER_LAYERS or (last is not None and int(layer.setting("0") or 0) > last)
