"""Compiles fp32 ONNX to machine code for the CPU of a board, and for this machine's if it cannot run that."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from edgewright_targets.tvm.run_compiler import compiled
from edgewright_targets.tvm.target import RELEASE, TOOLCHAIN, VERSION, release

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Makes `model.so` and `ends.json`.

    Raises:
        ConversionError: TVM cannot compile an operator, which the error names; or the compiler crashed.
        UsageError: integer inputs and outputs, which this target lacks; or an unknown layer.
    """
    from edgewright_targets._onnx import machine_code

    model, result = machine_code.graph(work, "tvm")
    _with_tensors(model)
    machine_code.write(model, work, partial(compiled, work.toolchains[TOOLCHAIN], model))
    note = "tvm is experimental: compare its latency with other targets on your board"
    return {**result, "requires": {RELEASE: release(VERSION)}, "notes": [*result["notes"], note]}


def _with_tensors(model: ModelProto) -> None:
    """Constants as tensors, in place: TVM reads no others, such as `value_ints`."""
    import numpy as np
    from onnx import helper, numpy_helper

    numbers = {
        "value_int": np.int64,
        "value_ints": np.int64,
        "value_float": np.float32,
        "value_floats": np.float32,
    }
    for node in model.graph.node:
        for item in list(node.attribute) if node.op_type == "Constant" else ():
            if item.name in numbers:
                array = np.asarray(helper.get_attribute_value(item), numbers[item.name])
                node.attribute.remove(item)
                node.attribute.append(helper.make_attribute("value", numpy_helper.from_array(array)))
