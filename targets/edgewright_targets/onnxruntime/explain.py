"""Operations of an ONNX file, and of what ONNX Runtime makes of it. Host side, in the `onnx` worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright_targets._onnx.explain import shipped

__all__ = ["executed", "shipped"]
_LARGEST = 1 << 30  # bytes; a protobuf ends at 2 GiB, and the optimised copy may be larger than the file


def executed(path: Path) -> list[dict[str, Any]] | None:
    """Rows of the graph that the runtime executes on this machine's CPU, all optimisations done.

    None for a model so large that its optimised copy does not fit into one file.
    """
    import tempfile
    from pathlib import Path

    import onnxruntime

    from edgewright.sdk.onnx import session as host_session

    if sum(file.stat().st_size for file in Path(path).parent.rglob("*") if file.is_file()) > _LARGEST:
        return None
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        settings.optimized_model_filepath = str(Path(scratch) / "optimised.onnx")
        host_session(Path(path), settings)
        return shipped(settings.optimized_model_filepath)
