"""Refuses inputs and outputs of integers, which ncnn would take for floats, except as indexes of an embedding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edgewright_targets.ncnn.param_file import Layer

if TYPE_CHECKING:
    from edgewright.sdk import ConversionError, TensorSpec

INDEXES = ("int32", "int64")  # types that an embedding takes; the runner narrows them to 32 bits


def refuse_types(inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
    """Raises ConversionError for types that ncnn lacks."""
    from edgewright.sdk import Code, ConversionError

    for spec in outputs:
        if "float" not in spec.dtype:
            raise ConversionError(
                f"output {spec.name} is {spec.dtype}, but ncnn computes in floats only",
                hint="export the model without its last step, such as ArgMax, or take another target, such as --target tflite",
                code=Code.CONVERSION_FAILED,
            )
    for spec in inputs:
        if "float" not in spec.dtype and spec.dtype not in INDEXES:
            raise _no_index(spec)


def refuse_negative(inputs: tuple[TensorSpec, ...], samples: Iterable[Sequence[Any]]) -> None:
    """Raises ConversionError if a sample has negative indexes, which count from the end in ONNX but not in ncnn."""
    from edgewright.sdk import Code, ConversionError

    for sample in samples:
        for spec, array in zip(inputs, sample, strict=True):
            if spec.dtype in INDEXES and array.min(initial=0) < 0:
                raise ConversionError(
                    f"input {spec.name} has negative indexes, which ncnn does not count from the end",
                    hint="use indexes from 0 on, or take another target, such as --target onnxruntime",
                    code=Code.CONVERSION_FAILED,
                )


def refuse_readers(inputs: tuple[TensorSpec, ...], layers: list[Layer]) -> None:
    """Raises ConversionError for an input of integers that any layer but an embedding reads."""
    for place, spec in enumerate(inputs):
        if "float" not in spec.dtype and _readers(f"in{place}", layers) - {"Embed"}:
            raise _no_index(spec)


def _no_index(spec: TensorSpec) -> ConversionError:
    from edgewright.sdk import Code, ConversionError

    return ConversionError(
        f"input {spec.name} is {spec.dtype}, and ncnn takes integers only as indexes of an embedding",
        hint="let the model take floats, or take another target, such as --target tflite",
        code=Code.CONVERSION_FAILED,
    )


def _readers(tensor: str, layers: list[Layer]) -> set[str]:
    """Kinds of the layers that read a tensor, also through copies of it."""
    found: set[str] = set()
    for layer in layers:
        if tensor in layer.takes and layer.kind == "Split":
            found = found.union(*(_readers(name, layers) for name in layer.gives))
        elif tensor in layer.takes:
            found.add(layer.kind)
    return found
