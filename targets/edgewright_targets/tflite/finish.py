"""Turns a float .tflite file into the requested precision with ai-edge-quantizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright_targets._onnx.widen_floats import wide
from edgewright_targets.tflite import check_int64, graph, name_ends, repeated_outputs
from edgewright_targets.tflite.describe_file import described, plain_interpreter, refuse_custom
from edgewright_targets.tflite.exclude_from_quantization import joined

if TYPE_CHECKING:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    from edgewright.sdk import ConversionError, StageContext, StageResult

    Array = np.ndarray[Any, Any]


QUANTISED = "quantised"  # written by a stage next to its output if it has already quantised it
FLOATS = (
    "floats.tflite"  # and this file too, if parts may have to stay in floats because 8 bits would ruin them
)
_BEYOND = (  # operator, types of its first inputs, a version above the cap in `target.py` for old runtimes
    ("DEQUANTIZE", ("INT4",), 6),
    ("DEQUANTIZE", ("INT2",), 6),
    ("BATCH_MATMUL", ("INT16", "INT8"), 5),
    ("SQRT", ("INT8",), 3),
    ("SQRT", ("INT16",), 3),
    ("RSQRT", ("INT16",), 4),
    ("SLICE", ("INT16",), 7),
)
_METHODS = {"minmax": "min-max", "percentile": "percentile 99.99"}


def convert(work: StageContext) -> StageResult:
    """Quantises the previous stage's file, unless that stage did so itself.

    Raises:
        ConversionError: a layer to keep does not exist, nothing can be quantised, something is already
            quantised, or the runtime lacks operators.
    """
    from edgewright_targets.tflite.quantize import needs_floats, quantised

    made = work.folder / work.entry
    data = work.path.read_bytes()
    method = _METHODS[work.calibration_method] if work.traits.calibrated else ""
    refuse_custom(graph.operators(data), work.entry)
    refuse_unloadable(data, work)
    narrowed = check_int64.notes(data, work)
    own = (work.path.parent / QUANTISED).exists() and graph.quantised(data)
    floats = _floats(work, own)
    if floats is not None and not work.traits.exact and graph.quantised(floats):
        raise _quantised_already(work.precision)
    found, without = (None, []) if floats is None else needs_floats(floats, work)
    if floats is not None and (without or not own):
        own, data = False, floats
    if own or work.traits.exact:
        made.write_bytes(_named(data, work))
        return described(work, method, notes=narrowed, requires=beyond_versions(data))
    data, kept = quantised(data, work, found, [name for one in without for name in one.names])
    refuse_unloadable(data, work)
    made.write_bytes(_named(data, work))
    # names in a graph may differ from the source's
    notes = [*(f"in floats: {scope}" for scope in kept), *(one.note for one in without), *narrowed]
    return described(
        work, method, kept_float=list(work.keep_float), notes=notes, requires=beyond_versions(data)
    )


def _floats(work: StageContext, own: bool) -> bytes | None:
    """The model's bytes in floats; None if the previous stage quantised it and nothing has to stay in floats."""
    if not own:
        floats = graph.widened(work.path.read_bytes())
        return repeated_outputs.apart(floats) if work.traits.calibrated else floats
    file = work.path.parent / FLOATS
    data = file.read_bytes() if file.exists() else None
    return data if data is not None and joined(data) else None


def _named(data: bytes, work: StageContext) -> bytes:
    outputs = [spec.name for spec in work.outputs]
    whole = repeated_outputs.put_back(data, repeated_outputs.load(work.path.parent), outputs)
    return name_ends.named(whole, [spec.name for spec in work.inputs], outputs)


def _quantised_already(precision: str) -> ConversionError:
    from edgewright.sdk import Code, ConversionError

    return ConversionError(
        f"model cannot be made {precision}: parts of it are quantised already, or compute in halves",
        hint="start from the model in floats that it was made from",
        code=Code.QUANTISED_ALREADY,
    )


def refuse_unloadable(data: bytes, work: StageContext) -> None:
    """Raises ConversionError if the runtime does not load or run the converter's file.

    No delegates are used, as may be the case on boards: XNNPACK accepts what the runtime's own kernels refuse at run time, such
    as a Reshape to a shape that does not fit.
    """
    from edgewright.sdk import Code, ConversionError
    from edgewright.sdk.failures import telling

    does = "load"
    try:
        interpreter = plain_interpreter(data)
        interpreter.allocate_tensors()
        does = "run"
        _run(interpreter, next(iter(work.samples())))
    except (RuntimeError, ValueError) as error:
        raise ConversionError(
            f"converter made a file that does not {does}: {telling(error)}",
            hint="convert it from another format of the model",
            code=Code.CONVERSION_FAILED,
        ) from error


def _run(interpreter: Interpreter, sample: list[Array]) -> None:
    """Runs one sample; uses zeros for an input of another type, such as a quantised one."""
    import numpy

    for detail, array in zip(interpreter.get_input_details(), sample, strict=False):
        given = wide(array)
        same = given.dtype == detail["dtype"] and given.shape == tuple(detail["shape"])
        interpreter.set_tensor(
            detail["index"], given if same else numpy.zeros(detail["shape"], detail["dtype"])
        )
    interpreter.invoke()


def beyond_versions(data: bytes) -> dict[str, int]:
    """What the operators need from a runtime beyond the versions stated in the file: {operator: version}.

    ai-edge-quantizer does not update the versions. tflite-runtime 2.14 computes a SLICE of 16-bit integers wrongly
    and refuses the others.
    """
    found: dict[str, int] = {}
    for operator in graph.operators(data):
        for kind, types, version in _BEYOND:
            given = tuple(tensor.type for tensor in operator.inputs[: len(types)])
            if operator.kind == kind and given == types:
                found[kind] = max(version, found.get(kind, 0))
    return found
