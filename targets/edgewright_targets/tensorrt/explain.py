"""Lists the operations of the ONNX file that the engine is built from. Host side, in the `onnx` worker."""

from __future__ import annotations

from pathlib import Path

from edgewright_targets._onnx.explain import shipped

__all__ = ["executed", "shipped"]


def executed(path: Path) -> None:  # noqa: ARG001 - one signature for all targets
    """None: the engine is built on the board, and only there is it known what was fused."""
    return None
