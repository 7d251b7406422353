"""How finely the outputs of a quantised model are rounded. Host side, in the `onnx` worker."""

from edgewright_targets._onnx.steps import tails

__all__ = ["tails"]
