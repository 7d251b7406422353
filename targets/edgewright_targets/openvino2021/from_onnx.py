"""The ONNX source at an opset that the Model Optimizer of OpenVINO 2021.4 reads."""

TAKEN = 13  # the newest that can be said in the words of the older one, see `older`


def convert(work):
    """At `work.max_opset`, or as it is where that cannot be and there is hope.

    Raises:
        ConversionError: it is too new, and cannot be converted down.
    """
    from edgewright.errors import ConversionError
    from edgewright_targets.onnxruntime.from_onnx import convert
    from edgewright_targets.onnxruntime.prepare import opset_of

    try:
        convert(work)
    except ConversionError:
        if opset_of(work.source.model) > TAKEN:
            raise
        work.max_opset = None
        convert(work)
