"""Compiles fp32 ONNX to machine code for the CPU of a board, and for this machine's if it cannot run that."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from edgewright_targets.tvm.run_compiler import compiled
from edgewright_targets.tvm.target import RELEASE, TOOLCHAIN, VERSION, release

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Makes `model.so` and `ends.json`.

    Raises:
        ConversionError: TVM cannot compile an operator, which the error names; or the compiler crashed.
        UsageError: integer inputs and outputs, which this target lacks.
    """
    import onnx

    from edgewright.sdk import UsageError
    from edgewright_targets._onnx import machine_code
    from edgewright_targets._onnx.finish import refuse_large
    from edgewright_targets._onnx.prepare_for_quantization import refuse_classical

    if work.integer_io:
        raise UsageError("tvm keeps floats at inputs and outputs", hint="leave --integer-io out")
    refuse_large(work)
    model = onnx.load(str(work.path))
    refuse_classical(model, "TVM")
    machine_code.write(model, work, partial(compiled, work.toolchains[TOOLCHAIN], model))
    return {
        **machine_code.ends(model),
        "requires": {RELEASE: release(VERSION)},
        "notes": ["tvm is experimental: compare its latency with other targets on your board"],
    }
