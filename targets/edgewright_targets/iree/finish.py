"""Compiles fp32 ONNX to machine code for the CPU of a board, and for this machine's if it cannot run that."""

from __future__ import annotations

from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_targets.iree.run_compiler import compiled, imported
from edgewright_targets.iree.target import RELEASE, release

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgewright.sdk import Cpu, StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Makes `model.vmfb` and `ends.json`.

    Raises:
        ConversionError: IREE cannot compile an operator, which the error names; or the compiler crashed.
        UsageError: integer inputs and outputs, which this target lacks; or an unknown layer.
    """
    from edgewright_targets._onnx import machine_code

    model, result = machine_code.graph(work, "iree")
    machine_code.write(model, work, partial(_compile, model))
    return {**result, "requires": {RELEASE: release(metadata.version("iree-base-compiler"))}}


def _compile(model: ModelProto, source: Path, wanted: list[tuple[Cpu, Path]]) -> None:
    """Compiles an ONNX file for CPUs. Errors as in `run_compiler`."""
    code = imported(source, model)
    for cpu, made in wanted:
        compiled(code, cpu, model, made)
