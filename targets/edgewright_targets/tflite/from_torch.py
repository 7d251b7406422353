"""Converts PyTorch to float .tflite with litert-torch. Inputs keep the source's shapes (NCHW stays NCHW) and dtypes, except
the width of floats.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgewright_targets.tflite import copy_torch_model

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from edgewright.sdk import ConversionError, StageContext, StageResult


_LACKING = re.compile(
    r"Lowering not found: aten\.(\w+)|failed to legalize operation '([\w.]+)'|error: '?(tf\.\w+)"
)
_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", *copy_torch_model.TRANSPOSED)
_NAMED = 3  # layers named in an error


def convert(work: StageContext) -> StageResult:
    """Converts the source's module with its example inputs.

    Raises:
        ConversionError: litert-torch cannot convert it.
    """
    module, example, notes = copy_torch_model.copied(work.source)
    try:
        made = _converted(module, example)
    except Exception as error:
        if module is not work.source.module:
            raise _refused(error, work.source) from error
        module, example, notes = copy_torch_model.copied(work.source, again=True)
        if not notes:
            raise _refused(error, work.source) from error
        try:
            made = _converted(module, example)
        except Exception as second:
            raise _refused(second, work.source) from second
    made.export(str(work.folder / work.entry))
    return {"notes": notes}


def _converted(module: Module, example: tuple[Tensor, ...]) -> Any:
    import litert_torch

    return litert_torch.convert(module, example, enable_x64=True)


def _refused(error: Exception, source: Any) -> ConversionError:
    from edgewright.sdk import Code, ConversionError

    found = _LACKING.search(str(error))
    operator = next(filter(None, found.groups())) if found else ""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    said = f"it has no way to convert {operator}" if operator else lines[0][:240].rstrip(".")
    named = (
        found is not None and found[1] is not None
    )  # with PyTorch's own name: the caller adds the layer and the line
    wanted = _CONVOLUTIONS if "convolution" in operator else (operator,)
    layers = [] if named else copy_torch_model.layers_of(source, wanted)
    more = f" and {len(layers) - _NAMED} more" if len(layers) > _NAMED else ""
    where = f" (layer {', '.join(layers[:_NAMED])}{more})" if layers else ""
    return ConversionError(
        f"litert-torch refused the model: {said}{where}",
        hint="replace the layer, export the module to ONNX and convert that, or take --target onnxruntime",
        code=Code.CONVERSION_FAILED,
    )
