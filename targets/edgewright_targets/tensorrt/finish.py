"""Turns fp32 ONNX into the files that a board builds an engine from, with the recipe."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


_WORKSPACE_MB = 256  # a layer's scratch: boards share their memory between GPU and everything else


def convert(work: StageContext) -> StageResult:
    """Makes `model.onnx`, `recipe.json`, and for int8 `float.onnx` and `calibration.cache`.

    `recipe.json`: `styles` by the major version of TensorRT from which on they hold (8 or 10), each with `model`, the
    `types` that the builder may use besides 32-bit floats, and `calibration`, the file of ranges; `workspace_mb`.
    TensorRT 11 takes all types from the model.

    Raises:
        ConversionError: nothing to quantise, too large for it, operators that it lacks, or a layer that does not stay in floats.
        UsageError: an unknown layer, or integers at the ends, which it does not have.
    """
    import onnx

    from edgewright.sdk import UsageError
    from edgewright_targets._onnx.finish import refuse_large
    from edgewright_targets._onnx.prepare_for_quantization import refuse_classical

    if work.integer_io:
        raise UsageError(
            "tensorrt keeps floats at inputs and outputs",
            hint="leave --integer-io out: the engine converts on the GPU",
        )
    refuse_classical(onnx.load(str(work.path), load_external_data=False), "TensorRT")
    if work.traits.calibrated:
        from edgewright_targets.tensorrt.quantize import quantise

        refuse_large(work)
        found, style = quantise(work)
    else:
        found, style = _in_floats(work), {}
    del found["requires"]["ir"]  # its parser reads any
    newer = {"model": work.entry, "types": _types(work)}
    recipe = {"schema": 1, "workspace_mb": _WORKSPACE_MB, "styles": {"8": {**newer, **style}, "10": newer}}
    (work.folder / "recipe.json").write_text(json.dumps(recipe, sort_keys=True, indent=1) + "\n")
    return found


def _in_floats(work: StageContext) -> StageResult:
    """The file of a model that is not quantised here, its batch normalisations folded: quantising folds them by itself."""
    from edgewright_targets._onnx.finish import copied, halved, refuse_large
    from edgewright_targets.tensorrt.fold_batch_norm import fold_file

    if work.traits.as_is:
        return copied(work)
    notes = fold_file(work)
    if work.precision == "fp16":
        refuse_large(work)
        found = halved(work)
    else:
        found = copied(work)
    found["notes"] = [*notes, *found["notes"]]
    return found


def _types(work: StageContext) -> list[str]:
    """What the builder may compute in, by what is in the model."""
    import onnx
    from onnx import TensorProto

    graph = onnx.load(str(work.folder / work.entry), load_external_data=False).graph
    kinds = {item.data_type for item in graph.initializer}
    quantised = any(node.op_type == "QuantizeLinear" for node in graph.node)
    # the layers of an int8 model that are not quantised may be halves: that is what a GPU with 8 bits is fast at
    half = quantised or TensorProto.FLOAT16 in kinds
    return ["FP16"] * half + ["INT8"] * quantised
