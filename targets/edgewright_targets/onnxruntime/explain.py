"""Operations of an ONNX file, and of what ONNX Runtime makes of it. Host side, in the `onnx` worker."""

from edgewright_targets._onnx.explain import FLOATS_BY_DEFAULT, executed, of_source, shipped

__all__ = ["FLOATS_BY_DEFAULT", "executed", "of_source", "shipped"]
