"""Lowers an ONNX source to an opset that the board's runtime can read. Host side, in the `onnx` worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx.prepare_for_quantization import opset_of
from edgewright_targets._onnx.rewrite_for_opset import restated

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto

    from edgewright.sdk import ConversionError, StageContext

    Array = np.ndarray[Any, Any]


_SAMPLES = 4
_LEAST_DB = 60.0  # least SQNR of a rewritten model that computes the same, dB


def too_new(work: StageContext) -> bool:
    """Whether the source's opset is above the newest one allowed."""
    return work.max_opset is not None and opset_of(work.source.model) > work.max_opset


def lowered(work: StageContext) -> ModelProto:
    """The source's ModelProto, lowered to the newest opset allowed; its outputs are compared with the source's.

    Raises:
        ConversionError: it cannot be converted down, or its outputs change.
    """
    from edgewright.sdk.failures import telling

    model = work.source.model
    if not too_new(work):
        return model
    if work.source.large:
        raise _refused(work, "it is too large for that")
    why, newest = "", work.max_opset or 0
    for way in (_converted, restated):
        try:
            made = way(model, newest)
            worst = _compare(work, made)
        except Exception as error:  # noqa: BLE001 - the converter and the checker raise anything
            why = telling(error)
            continue
        if worst >= _LEAST_DB:
            return made
        why = f"its answers change, SQNR {worst:.1f} dB"
    raise _refused(work, why)


def _converted(model: ModelProto, opset: int) -> ModelProto:
    """Lowers the opset with ONNX's own converter, which cannot convert many operators down."""
    import onnx
    from onnx import version_converter

    made = version_converter.convert_version(model, opset)
    onnx.checker.check_model(made, full_check=True)
    return made


def _compare(work: StageContext, model: ModelProto) -> float:
    """The smallest SQNR between the source and the converted model on some samples, dB."""
    from edgewright.sdk.graphs import sqnr_db
    from edgewright.sdk.onnx import session

    opened = session(model.SerializeToString())
    names = [item.name for item in opened.get_outputs()]
    worst = 200.0
    for sample in work.samples(_SAMPLES):
        feed = {spec.name: array for spec, array in zip(work.inputs, sample, strict=True)}
        pairs = zip(work.source.run(sample), opened.run(names, feed), strict=True)
        worst = min([worst, *(sqnr_db(_wide(source), _wide(other)) for source, other in pairs)])
    return worst


def _wide(array: Array) -> Array:
    import numpy

    return numpy.asarray(array, numpy.float64)


def _refused(work: StageContext, why: str) -> ConversionError:
    from edgewright.sdk import Code, ConversionError

    return ConversionError(
        f"opset {opset_of(work.source.model)} cannot be brought down to {work.max_opset}: {why}",
        hint=f"export the model again at opset {work.max_opset} or older, or give the board a newer runtime",
        code=Code.OPSET_TOO_NEW,
    )
