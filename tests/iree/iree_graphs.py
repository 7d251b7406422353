"""Small ONNX graphs for IREE."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def network(path: Path, seed: int = 1, side: int = 8) -> Path:
    """Writes a convolution and a product, whose outputs differ between inputs."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(seed)
    conv = random.normal(0, 1 / 3, (8, 1, 3, 3)).astype(np.float32)
    dense = random.normal(0, 0.1, (8 * (side - 2) ** 2, 5)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "conv"], ["c"], name="first"),
        helper.make_node("Relu", ["c"], ["r"], name="act"),
        helper.make_node("Flatten", ["r"], ["f"], name="flat"),
        helper.make_node("MatMul", ["f", "dense"], ["scores"], name="last"),
    ]
    graph = helper.make_graph(
        nodes, "a graph's own name",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, side, side])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 5])],
        [numpy_helper.from_array(conv, "conv"), numpy_helper.from_array(dense, "dense")],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return path


def unsupported(path: Path) -> Path:
    """Writes a graph with an operator that ONNX Runtime has, and IREE has not: GridSample by cubic interpolation."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("GridSample", ["x", "grid"], ["near"], name="near", mode="bilinear"),
        helper.make_node("GridSample", ["near", "grid"], ["y"], name="smooth", mode="bicubic"),
    ]
    ends = [("x", [1, 1, 4, 4]), ("grid", [1, 4, 4, 2]), ("y", [1, 1, 4, 4])]
    x, grid, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends)
    graph = helper.make_graph(nodes, "sampling", [x, grid], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8), str(path))
    return path


def computed_shapes(path: Path) -> Path:
    """Writes what TensorFlow's exporter makes of an attention score: the shapes of Reshapes are computed from Shape."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node
    nodes = [
        node("Unsqueeze", ["x", "third"], ["u"]),
        node("Transpose", ["u"], ["t"], perm=[0, 2, 1, 3, 4]),
        node("Shape", ["t"], ["sizes"]),
        node("Gather", ["sizes", "batch"], ["two"]),
        node("ReduceProd", ["two"], ["product"]),
        node("Gather", ["sizes", "fourth"], ["width"]),
        node("Concat", ["product", "rest", "width"], ["flat"], axis=0),
        node("Reshape", ["t", "flat"], ["rows"]),
        node("Transpose", ["rows"], ["columns"], perm=[0, 2, 1]),
        node("MatMul", ["rows", "columns"], ["scores"]),
        node("Max", ["two", "two"], ["most"]),
        node("Gather", ["sizes", "second"], ["length"]),
        node("Concat", ["most", "length", "length"], ["whole"], axis=0),
        node("Reshape", ["scores", "whole"], ["shaped"]),
        node("Softmax", ["shaped"], ["y"]),
    ]
    numbers = {"third": [3], "fourth": [4], "second": [2], "batch": [0, 1], "rest": [-1]}
    graph = helper.make_graph(
        nodes, "attention",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, 4, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 16, 16])],
        [numpy_helper.from_array(np.array(value, np.int64), name) for name, value in numbers.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
