"""Raises a source to the opset whose meaning a converter implements. Host side, in the `onnx` worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets._onnx.prepare_for_quantization import opset_of

if TYPE_CHECKING:
    from onnx import ModelProto


def raised_if_possible(model: ModelProto, least: int) -> ModelProto:
    """The model at opset `least` or newer; unchanged if ONNX has no way there. Callers compare outputs anyway.

    Before opset 13, a Softmax was over its axis and all later ones, and its default axis was another.
    """
    from onnx import version_converter

    opset = opset_of(model)
    try:
        return version_converter.convert_version(model, least) if opset < least else model
    except Exception as error:  # noqa: BLE001 - it knows no such step for some operator
        print(f"opset {opset} is not raised: {error}")  # noqa: T201 - a worker's stdout is its log
        return model
