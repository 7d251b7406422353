"""Runs converters that are programs."""

from __future__ import annotations

from edgewright.compile.workers.converter_program import run_converter

__all__ = ["run_converter"]
