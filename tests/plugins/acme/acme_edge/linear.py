"""A source format: a linear model as JSON, `{"acme": 1, "weights": [[...], ...], "bias": [...]}`."""

import json

from edgewright.sdk import Route, TensorSpec
from edgewright.sdk.formats import Look, SourceFormat


class Linear:
    """An opened model."""

    notes = ()
    loose = ()
    output_names = ("score",)

    def __init__(self, path):
        import numpy as np

        found = json.loads(path.read_text())
        self.weights = np.array(found["weights"], np.float32)
        self.bias = np.array(found["bias"], np.float32)
        self.inputs = (TensorSpec(name="x", shape=(1, len(self.weights)), dtype="float32"),)

    def run(self, sample):
        return [sample[0] @ self.weights + self.bias]


def look(path, head):
    if not head.startswith(b'{"acme"'):
        return None
    json.loads(path.read_text())
    return Look([path])


def open_model(path, shapes, ends):
    return Linear(path)


FORMAT = SourceFormat(
    name="acme-linear",
    title="an Acme linear model (.lin)",
    known_as=".lin",
    framework="onnx",
    tools=("numpy",),
    suffixes=(".lin",),
    look=look,
    open=open_model,
    routes={
        "onnxruntime": Route(stages=(("onnx", "acme_edge.to_onnx"), ("onnx", "onnxruntime.finish"))),
    },
)
