"""Finds 64-bit integers that onnx2tf narrows to 32 bits. Host side, in the `litert` worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright_targets.tflite import graph

if TYPE_CHECKING:
    from edgewright.sdk import ConversionError, StageContext


_GREATEST = 2**31 - 1
_INDEX_SUFFIX = "_gather_indices_i32"  # suffix of onnx2tf's names for indexes into tables


def notes(data: bytes, work: StageContext) -> list[Any]:
    """A note for each narrowed input, except indexes into tables: no table has that many rows.

    Raises:
        ConversionError: `beyond-32-bits`: a calibration sample of such an input has a value that does not fit.
    """
    if "onnx2tf" not in work.toolchains:  # a model of another source narrows them itself
        return []
    narrowed = {
        operator.inputs[0].name
        for operator in graph.operators(data)
        if operator.kind == "CAST"
        and operator.inputs[0].type == "INT64"
        and operator.outputs[0].type == "INT32"
        and not operator.outputs[0].name.endswith(_INDEX_SUFFIX)
    }
    places = {at: spec.name for at, spec in enumerate(work.inputs) if spec.name in narrowed}
    if not places:
        return []
    for sample in work.samples():
        for at, name in places.items():
            most = max((abs(int(end)) for end in (sample[at].min(), sample[at].max())), default=0)
            if most > _GREATEST:
                raise _refused(name, most)
    return [
        f"input {name} is computed in 32 bits: greater numbers are answered wrongly"
        for name in places.values()
    ]


def _refused(name: str, most: float) -> ConversionError:
    from edgewright.sdk import Code, ConversionError

    return ConversionError(
        f"input {name} has numbers such as {most}, and onnx2tf computes whole numbers in 32 bits",
        hint="take --target onnxruntime, or give the model smaller numbers, such as a time since midnight",
        code=Code.BEYOND_32_BITS,
    )
