"""ONNX files on the host: sessions with the same results on any CPU, and what a file declares."""

from __future__ import annotations

from edgewright.compile.inspection.onnx_file import look
from edgewright.compile.sources.onnx import every_tensor
from edgewright.compile.sources.onnx_session import reference, session
from edgewright.store import sparse

__all__ = ["every_tensor", "look", "reference", "session", "sparse"]
