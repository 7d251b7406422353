"""Writes .onnx files, and says what one is. Host side."""


def save(model, path):
    """Saves deterministically, at the least IR version that the opset needs: old runtimes want it."""
    from onnx import helper

    least = helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)
    model.ir_version = max(least, 7)
    del model.metadata_props[:]
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
    path.write_bytes(model.SerializeToString(deterministic=True))


def described(work, method):
    """Names and dtypes, and the opset and IR version that were really written."""
    import onnx
    from onnx import helper

    model = onnx.load(str(work.folder / work.entry), load_external_data=False)
    opset = max(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    weights = {item.name for item in model.graph.initializer}

    def spec(item):
        dtype = helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type).name
        return {"name": item.name, "dtype": dtype}

    return {
        "inputs": [spec(item) for item in model.graph.input if item.name not in weights],
        "outputs": [spec(item) for item in model.graph.output],
        "requires": {"opset": opset, "ir": model.ir_version},
        "method": method,
    }
