"""What a .tflite file says of itself. Host side."""


def described(work, method):
    """Names and dtypes as the file has them, in the source's order, and the operator versions it needs."""
    import numpy

    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        from tensorflow.lite.python.interpreter import Interpreter, OpResolverType
    path = work.folder / work.entry
    interpreter = Interpreter(
        model_path=str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )

    def spec(detail):
        one = detail["quantization_parameters"]["scales"].size == 1
        scale, zero = detail["quantization"]
        return {
            "name": detail["name"],
            "dtype": numpy.dtype(detail["dtype"]).name,
            "scale": float(scale) if one else None,
            "zero_point": int(zero) if one else None,
        }

    inputs = {detail["name"]: spec(detail) for detail in interpreter.get_input_details()}
    ordered = [inputs.get(item.name) for item in work.inputs]
    return {
        "inputs": ordered if all(ordered) else list(inputs.values()),
        "outputs": [spec(detail) for detail in interpreter.get_output_details()],
        "requires": operators(path.read_bytes()),
        "method": method,
    }


def operators(data):
    """{builtin operator: greatest version} in the bytes of a .tflite file."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    model = schema.Model.GetRootAsModel(data, 0)
    found = {}
    for index in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(index)
        name = names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        found[name] = max(found.get(name, 1), code.Version())
    return found
