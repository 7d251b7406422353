"""The linear model -> fp32 ONNX."""


def convert(work):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = work.source
    rows, columns = model.weights.shape
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "w"], ["y"], name="product"),
            helper.make_node("Add", ["y", "b"], ["score"], name="sum"),
        ],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, rows])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1, columns])],
        [numpy_helper.from_array(model.weights, "w"), numpy_helper.from_array(model.bias, "b")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.save(made, str(work.folder / work.entry))
    return {"notes": []}
