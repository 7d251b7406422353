"""How finely the outputs of the explicitly quantised model are rounded; what TensorRT 8 rounds by ranges, only it knows."""

from edgewright_targets._onnx.steps import tails

__all__ = ["tails"]
