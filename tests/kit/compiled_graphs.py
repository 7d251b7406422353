"""Small ONNX graphs for targets that compile machine code."""

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
    """Writes a graph with an operator that ONNX Runtime has, and IREE has not: GridSample by cubic interpolation. TVM has it."""
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


def recurrent(path: Path) -> Path:
    """Writes a product and two LSTMs, which TVM has not."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(3)
    weights = {"scale": (4, 4), "w": (1, 12, 4), "r": (1, 12, 3), "w2": (1, 12, 3), "r2": (1, 12, 3)}
    held = [
        numpy_helper.from_array(random.normal(0, 0.5, shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    nodes = [
        helper.make_node("MatMul", ["series", "scale"], ["scaled"], name="scaling"),
        helper.make_node("LSTM", ["scaled", "w", "r"], ["steps"], name="memory", hidden_size=3),
        helper.make_node("Squeeze", ["steps", "axis"], ["flat"], name="flat"),
        helper.make_node("LSTM", ["flat", "w2", "r2"], ["", "last"], name="second", hidden_size=3),
    ]
    held.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))
    graph = helper.make_graph(
        nodes, "recurrent", [helper.make_tensor_value_info("series", TensorProto.FLOAT, [5, 1, 4])],
        [helper.make_tensor_value_info("last", TensorProto.FLOAT, [1, 1, 3])], held,
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), str(path))
    return path
