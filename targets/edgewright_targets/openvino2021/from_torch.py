"""PyTorch -> ONNX at an opset that the Model Optimizer of OpenVINO 2021.4 reads."""

from edgewright_targets.openvino2021.from_onnx import TAKEN

_ATTENTION = 14  # the first that the exporter writes attention in


def convert(work):
    """At `work.max_opset`, or at the least one above that can be said in its words.

    Raises:
        ConversionError: an operator needs a newer one still.
    """
    from edgewright.errors import Code, ConversionError
    from edgewright_targets.onnxruntime.from_torch import convert

    for opset in (work.max_opset, TAKEN, _ATTENTION):
        work.opset = work.max_opset = opset
        try:
            found = convert(work)
            break
        except ConversionError as error:
            if error.code != Code.OPSET_TOO_NEW or opset == _ATTENTION:
                raise
    if work.max_opset == _ATTENTION:
        _restate(work.folder / work.entry)
    return found


def _restate(path):
    """Writes the file anew at `TAKEN`."""
    import onnx

    from edgewright.compile.foreign import telling
    from edgewright.errors import Code, ConversionError
    from edgewright_targets.onnxruntime.files import save
    from edgewright_targets.onnxruntime.restate import restated

    try:
        save(restated(onnx.load(str(path)), TAKEN), path)
    except Exception as error:
        raise ConversionError(
            f"torch cannot export the module to ONNX at opset {TAKEN}: {telling(error)}",
            hint="change the operator that is named, or take another target",
            code=Code.OPSET_TOO_NEW,
        ) from error
