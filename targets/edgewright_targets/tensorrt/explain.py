"""Operations of the ONNX file that the engine is built of. Host side, in the `onnx` worker."""

from edgewright_targets._onnx.explain import FLOATS_BY_DEFAULT, of_source, shipped

__all__ = ["FLOATS_BY_DEFAULT", "NOTES", "executed", "of_source", "shipped"]
NOTES = (
    "activations are fused into their layers by TensorRT itself, when it builds the engine on the board",
)


def executed(path):  # noqa: ARG001 - one signature for all targets
    """None: the engine is built on the board, and what it fuses is known there only."""
    return None
