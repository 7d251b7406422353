"""Lists the operations of an ONNX file, and of the graph that ONNX Runtime makes from it. Host side, in the `onnx` worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright_targets._onnx.explain import shipped

__all__ = ["executed", "shipped"]
_LARGEST = 1 << 30  # bytes; protocol buffers end at 2 GiB, and the optimised copy may be larger than the file


def executed(path: Path) -> list[dict[str, Any]] | None:
    """Rows of the graph that the runtime executes on this machine's CPU, after all optimisations.

    None for a model whose optimised copy would not fit into one file.
    """
    import tempfile
    from pathlib import Path

    import onnxruntime

    from edgewright.sdk.onnx import session

    if sum(file.stat().st_size for file in Path(path).parent.rglob("*") if file.is_file()) > _LARGEST:
        return None
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        settings.optimized_model_filepath = str(Path(scratch) / "optimised.onnx")
        session(Path(path), settings)
        return shipped(settings.optimized_model_filepath)
