"""Whole numbers of an ONNX graph that OpenVINO computes in 32 bits, as far as the graph shows them. Host side."""

_MOST = 2**31
_PERIODS = 1000  # of a remainder: an input of fewer than so many periods would hardly be divided
# what takes whole numbers for what they are; slices, shapes and gathers take the greatest one for `to the end`
_ARITHMETIC = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Mod",
    "Equal",
    "Less",
    "LessOrEqual",
    "Greater",
    "GreaterOrEqual",
    "Pow",
)
_DIVIDES = ("Div", "Mod")
_SENTINELS = 2**62  # beyond this a number stands for `all there is`


def check(model, synthetic):
    """Notes about inputs that may be too large.

    Args:
        synthetic: there are no data that show how large they are.

    Raises:
        ConversionError: a constant is beyond 32 bits, or an input must be, as what it is divided by says.
    """
    from onnx import TensorProto

    from edgewright_targets.onnxruntime.restate import constants_of

    constants = {
        name: item for name, item in constants_of(model).items() if item.data_type == TensorProto.INT64
    }
    weights = {item.name for item in model.graph.initializer}
    inputs = {
        item.name
        for item in model.graph.input
        if item.type.tensor_type.elem_type == TensorProto.INT64 and item.name not in weights
    }
    counted = []
    for node in model.graph.node:
        if node.op_type not in _ARITHMETIC:
            continue
        most = max([_largest(constants[name]) for name in node.input if name in constants], default=0)
        read = [name for name in node.input if name in inputs]
        if _MOST <= most < _SENTINELS:
            raise _refused(f"{node.op_type} {node.name or node.output[0]} has a constant of {most}")
        if read and node.op_type == "Mod" and synthetic and most * _PERIODS >= _MOST:
            raise _refused(
                f"input {read[0]} may be beyond {_MOST - 1}, as the model takes its remainder by {most}",
                "give --calibration data that show how large it is, or take --target onnxruntime",
            )
        if node.op_type in _DIVIDES:  # masks and token numbers are added and compared
            counted += [name for name in read if name not in counted]
    return [
        f"whole numbers are computed in 32 bits: values of input {name} beyond {_MOST - 1} are answered wrongly"
        for name in counted
    ]


def _largest(tensor):
    import numpy
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    if not values.size:
        return 0
    return max(abs(int(numpy.min(values))), abs(int(numpy.max(values))))


def _refused(why, hint="take --target onnxruntime, or make the numbers smaller before they enter the model"):
    from edgewright.errors import ConversionError

    return ConversionError(
        f"OpenVINO computes whole numbers in 32 bits: {why}", hint=hint, code="integers-too-wide"
    )
