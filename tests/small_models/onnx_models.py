"""Small seeded ONNX graphs, opset 13 and IR 8, and the same for OpenVINO as IR. The batch is open, but in lstm and gru."""

import math

FLOAT, INT64 = 1, 7  # TensorProto.DataType


class Graph:
    """Nodes and seeded weights that are being put together."""

    def __init__(self, seed):
        import numpy as np

        self.generator, self.nodes, self.weights = np.random.default_rng(seed), [], {}

    def weight(self, *shape, fan_in=None, around=0.0, scale=None):
        """The name of a new float32 weight."""
        size = scale or 1.4 / math.sqrt(fan_in or math.prod(shape[:-1]))
        return self.constant((around + self.generator.normal(size=shape) * size).astype("float32"))

    def constant(self, array):
        """The name of an array."""
        name = f"weight{len(self.weights)}"
        self.weights[name] = array
        return name

    def add(self, kind, *inputs, output=None, **attributes):
        """The name of a new node's first output."""
        from onnx import helper

        name = output or f"{kind.lower()}{len(self.nodes)}"
        names = name if isinstance(name, list) else [name]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names[0]

    def norm(self, x, channels):
        """BatchNormalization with uneven statistics."""
        weights = [self.weight(channels, around=around, scale=0.2) for around in (1.0, 0.0, 0.0)]
        variance = self.constant(self.generator.uniform(0.5, 1.5, channels).astype("float32"))
        return self.add("BatchNormalization", x, *weights, variance)

    def dense(self, x, wide, narrow, output=None):
        """A fully connected layer."""
        return self.add("Gemm", x, self.weight(wide, narrow), self.weight(narrow, scale=0.2), output=output)

    def model(self, inputs, outputs):
        """The checked ModelProto. inputs: name -> (type, shape); outputs: name -> shape."""
        import onnx
        from onnx import helper, numpy_helper

        made = helper.make_model(
            helper.make_graph(
                self.nodes,
                "small",
                [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
                [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()],
                [numpy_helper.from_array(array, name) for name, array in self.weights.items()],
            ),
            opset_imports=[helper.make_opsetid("", 13)],
            ir_version=8,
        )
        onnx.checker.check_model(made, full_check=True)
        return made


def cnn():
    """(batch, 3, 16, 16) -> 5."""
    graph = Graph(1)
    x = graph.add("Conv", "image", graph.weight(8, 3, 3, 3, fan_in=27), pads=[1] * 4, strides=[2, 2])
    x = graph.add("Relu", graph.norm(x, 8))
    x = graph.add("Conv", x, graph.weight(8, 1, 3, 3, fan_in=9), pads=[1] * 4, group=8)
    x = graph.add("Relu", graph.norm(x, 8))
    x = graph.add("Add", x, graph.add("Conv", x, graph.weight(8, 8, 1, 1, fan_in=8)))
    x = graph.add("Flatten", graph.add("AveragePool", x, kernel_shape=[4, 4], strides=[4, 4]))
    graph.add("Softmax", graph.dense(x, 32, 5), output="classes", axis=-1)
    return graph.model({"image": (FLOAT, ["batch", 3, 16, 16])}, {"classes": ["batch", 5]})


def two_in_two_out():
    """right, left of (batch, 4) -> total, gap of 3."""
    graph = Graph(2)
    both = graph.add("Relu", graph.dense(graph.add("Concat", "right", "left", axis=1), 8, 8))
    graph.dense(graph.add("Concat", both, "right", axis=1), 12, 3, output="total")
    graph.dense(graph.add("Concat", "left", both, axis=1), 12, 3, output="gap")
    ends = {"right": (FLOAT, ["batch", 4]), "left": (FLOAT, ["batch", 4])}
    return graph.model(ends, {"total": ["batch", 3], "gap": ["batch", 3]})


def tokens():
    """(batch, 12) token ids below 16, int64 -> 4."""
    graph = Graph(3)
    x = graph.add("Flatten", graph.add("Gather", graph.weight(16, 6, fan_in=2), "tokens"))
    graph.dense(x, 72, 4, output="scores")
    return graph.model({"tokens": (INT64, ["batch", 12])}, {"scores": ["batch", 4]})


def lstm():
    """(1, 10, 6) -> LSTM of 8 -> 4."""
    return _recurrent("LSTM", 4, 4)


def gru():
    """(1, 10, 6) -> GRU of 8 -> 4."""
    return _recurrent("GRU", 5, 3)


def _recurrent(kind, seed, gates):
    graph = Graph(seed)
    weights = [graph.weight(1, gates * 8, size, fan_in=size) for size in (6, 8)]
    weights.append(graph.weight(1, 2 * gates * 8, scale=0.2))
    x = graph.add("Transpose", "series", perm=[1, 0, 2])
    graph.add(kind, x, *weights, output=["", "last"], hidden_size=8)
    x = graph.add("Squeeze", "last", graph.constant(_whole(0)))
    graph.dense(x, 8, 4, output="scores")
    return graph.model({"series": (FLOAT, [1, 10, 6])}, {"scores": [1, 4]})


def attention():
    """(batch, 8, 16) -> self-attention of two heads, layer normalisation -> 4."""
    graph = Graph(6)
    split, join = graph.constant(_whole(0, 8, 2, 8)), graph.constant(_whole(0, 8, 16))
    query, key, value = (
        graph.add(
            "Transpose",
            graph.add("Reshape", graph.add("MatMul", "series", graph.weight(16, 16)), split),
            perm=perm,
        )
        for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    )
    scaled = graph.add("Mul", graph.add("MatMul", query, key), graph.constant(_real(8**-0.5)))
    mixed = graph.add("MatMul", graph.add("Softmax", scaled, axis=-1), value)
    mixed = graph.add("Reshape", graph.add("Transpose", mixed, perm=[0, 2, 1, 3]), join)
    x = graph.add("Add", "series", graph.add("MatMul", mixed, graph.weight(16, 16)))
    centred = graph.add("Sub", x, graph.add("ReduceMean", x, axes=[-1]))
    spread = graph.add("ReduceMean", graph.add("Mul", centred, centred), axes=[-1])
    deviation = graph.add("Sqrt", graph.add("Add", spread, graph.constant(_real(1e-5))))
    x = graph.add("Mul", graph.add("Div", centred, deviation), graph.weight(16, around=1.0, scale=0.2))
    x = graph.add("Relu", graph.add("MatMul", x, graph.weight(16, 16)))
    graph.dense(graph.add("ReduceMean", x, axes=[1], keepdims=0), 16, 4, output="scores")
    return graph.model({"series": (FLOAT, ["batch", 8, 16])}, {"scores": ["batch", 4]})


def dynamic():
    """(batch, 3, height, width) -> 4."""
    graph = Graph(7)
    x = graph.add("Relu", graph.add("Conv", "image", graph.weight(6, 3, 3, 3, fan_in=27)))
    graph.dense(graph.add("Flatten", graph.add("GlobalAveragePool", x)), 6, 4, output="scores")
    return graph.model({"image": (FLOAT, ["batch", 3, "height", "width"])}, {"scores": ["batch", 4]})


MODELS = {made.__name__: made for made in (cnn, two_in_two_out, tokens, lstm, gru, attention, dynamic)}


def _whole(*numbers):
    import numpy as np

    return np.array(numbers, np.int64)


def _real(number):
    import numpy as np

    return np.array(number, np.float32)


def make(folder):
    """Writes `<name>.onnx`."""
    import onnx

    for name, function in MODELS.items():
        onnx.save(function(), folder / f"{name}.onnx")


def make_ir(folder):
    """Writes `<name>.xml` and `<name>.bin`, of the same weights."""
    import onnx
    import openvino

    for name, function in MODELS.items():
        onnx.save(function(), folder / f"{name}.onnx")
        openvino.save_model(
            openvino.convert_model(folder / f"{name}.onnx"), folder / f"{name}.xml", compress_to_fp16=False
        )
        (folder / f"{name}.onnx").unlink()
