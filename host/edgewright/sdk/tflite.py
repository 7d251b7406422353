"""Reads a .tflite file as objects that can be changed, and writes it again. In the `litert` worker."""

from __future__ import annotations

from edgewright.compile.tflitewriter import packed, read

__all__ = ["packed", "read"]
