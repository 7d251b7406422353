"""Turns fp32 ONNX into the files, with a recipe, that a board builds an engine from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edgewright_targets.tensorrt import check_operators, half_layer_norms

if TYPE_CHECKING:
    from edgewright.sdk import StageContext, StageResult


_WORKSPACE_MB = 256  # scratch space of a layer, where a board cannot tell how much of its memory is free


def convert(work: StageContext) -> StageResult:
    """Makes `model.onnx`, `recipe.json`, and for int8 `float.onnx` and `calibration.cache`.

    `recipe.json` holds `styles` by the major version of TensorRT that they start with (8 or 10), each with `model`, the
    `types` that the builder may use besides 32-bit floats, and `calibration`, the file of ranges; and `workspace_mb`, for boards
    that do not derive it from their free memory.
    TensorRT 11 takes all types from the model.

    Raises:
        ConversionError: there is nothing to quantise, the model is too large, no TensorRT has an operator, or a layer does not stay in floats.
        UsageError: an unknown layer, or integer inputs and outputs, which this target lacks.
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
    given = onnx.load(str(work.path), load_external_data=False)
    refuse_classical(given, "TensorRT")
    check_operators.refuse(given)
    if work.traits.calibrated:
        from edgewright_targets.tensorrt.quantize import quantise

        refuse_large(work)
        found, style = quantise(work)
    else:
        found, style = _in_floats(work), {}
    del found["requires"]["ir"]  # its parser reads any version
    newer = {"model": work.entry, "types": _types(work)}
    styles = {"8": {**newer, **style}, "10": newer}
    recipe = {"schema": 1, "workspace_mb": _WORKSPACE_MB, "styles": styles}
    (work.folder / "recipe.json").write_text(json.dumps(recipe, sort_keys=True, indent=1) + "\n")
    names = sorted({str(one["model"]) for one in styles.values()})
    shipped = [onnx.load(str(work.folder / name), load_external_data=False) for name in names]
    least, cause = check_operators.needed(shipped)
    if least:
        found["requires"][check_operators.KIND] = least
        found["causes"] = {check_operators.KIND: cause}
    return found


def _in_floats(work: StageContext) -> StageResult:
    """The file of a model that is not quantised here, with batch normalisations folded; quantisation folds them itself."""
    import onnx

    from edgewright_targets._onnx.finish import copied, halved, refuse_large
    from edgewright_targets._onnx.prepare_for_quantization import named
    from edgewright_targets.tensorrt.fold_batch_norm import fold_file

    if work.traits.as_is:
        return copied(work)
    notes = fold_file(work)
    if work.precision == "fp16":
        refuse_large(work)
        found = halved(work, half_layer_norms.squares)
        given = named(onnx.load(str(work.path), load_external_data=False))
        notes = [*notes, *filter(None, [half_layer_norms.note(half_layer_norms.squares(given))])]
    else:
        found = copied(work)
    found["notes"] = [*notes, *found["notes"]]
    return found


def _types(work: StageContext) -> list[str]:
    """The types that the builder may compute in, depending on the model."""
    import onnx
    from onnx import TensorProto

    graph = onnx.load(str(work.folder / work.entry), load_external_data=False).graph
    kinds = {item.data_type for item in graph.initializer}
    quantised = any(node.op_type == "QuantizeLinear" for node in graph.node)
    # layers of an int8 model that are not quantised may use halves, which GPUs with 8-bit arithmetic compute fast
    half = quantised or TensorProto.FLOAT16 in kinds
    return ["FP16"] * half + ["INT8"] * quantised
