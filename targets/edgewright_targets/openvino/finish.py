"""Turns a source that OpenVINO can read into IR of the requested precision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright_targets.openvino.files import described, own_names, strip
from edgewright_targets.openvino.ports import fixed

if TYPE_CHECKING:
    from openvino import Model

    from edgewright.sdk import StageContext, StageResult


def convert(work: StageContext) -> StageResult:
    """Makes the artifact's files.

    Raises:
        UsageError: an unknown layer to keep in floats, or integer inputs and outputs, which this target lacks.
        ConversionError: the model has nothing to quantise, or a layer does not stay in floats as requested.
    """
    import openvino as ov

    from edgewright.sdk import UsageError

    if work.integer_io:
        raise UsageError(
            "integer inputs and outputs are not available on openvino",
            hint="leave --integer-io out: the runtime quantises its inputs itself",
        )
    model, method, kept, notes = _STEPS[work.precision](fixed(read(work), work), work)
    strip(model, own_names(work))
    ov.save_model(model, str(work.folder / work.entry), compress_to_fp16=work.traits.half)
    return {**described(work, method), "kept_float": [*kept], "notes": notes}


def read(work: StageContext) -> Model:
    """The model: an opened IR, or else read from a SavedModel or a file of ONNX, LiteRT or IR."""
    import openvino as ov

    if work.source is not None:
        return work.source.model.clone()  # the source itself will be run unchanged
    path = work.path / "model.onnx" if (work.path / "model.onnx").is_file() else work.path
    if path.suffix == ".xml":
        return ov.Core().read_model(str(path))
    return ov.convert_model(str(path))


def _as_is(model: Model, work: StageContext) -> tuple[Model, str, tuple[str, ...], list[str]]:  # noqa: ARG001 - one signature for all steps
    return model, "", (), []


def _static(model: Model, work: StageContext) -> tuple[Model, str, tuple[str, ...], list[str]]:
    from edgewright_targets.openvino.quantize_static import quantise

    strip(model, own_names(work))  # a layer's name in the fp32 file has to mean the same layer here
    return quantise(model, work)


def _weights(model: Model, work: StageContext) -> tuple[Model, str, tuple[str, ...], list[str]]:
    from edgewright_targets.openvino.compress_weights import compress

    return compress(model, work.traits), "", (), []


_STEPS = {
    "fp32": _as_is,
    "fp16": _as_is,
    "as-is": _as_is,
    "int8-dynamic": _weights,
    "int8-weights": _weights,
    "int4-weights": _weights,
    "int8": _static,
    "int8-mixed": _static,
}
