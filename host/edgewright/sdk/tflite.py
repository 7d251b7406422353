"""Reads a .tflite file into objects that can be changed, and writes it back. Runs in the `litert` worker."""

from __future__ import annotations

from edgewright.compile.sources.tflite_writer import packed, read

__all__ = ["packed", "read"]
