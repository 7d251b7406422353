"""ONNX files on the host: sessions whose answers are the same on any CPU, and what a file says of itself."""

from __future__ import annotations

from edgewright.compile.onnxfile import look
from edgewright.compile.onnxsession import reference, session
from edgewright.compile.sources.onnx import every_tensor
from edgewright.store import sparse

__all__ = ["every_tensor", "look", "reference", "session", "sparse"]
