"""Sources that no artifact can agree with: random numbers, state between calls, and answers that are not finite."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.errors import ConversionError, ModelError

MAKE_TENSORFLOW = """
import sys, pathlib, numpy as np, keras, tensorflow as tf
place = pathlib.Path(sys.argv[1])
L = keras.layers
sequence = L.Input(batch_shape=(1, 5, 6), name="sequence")
net = keras.Model(sequence, L.Dense(3)(L.LSTM(8, stateful=True, name="memory")(sequence)))
net.save(place / "stateful.keras"); net.save(place / "stateful.h5")
x = L.Input((8,), name="x")
dense = L.Dense(4, name="dense")
broken = keras.Model(x, dense(x))
dense.kernel.assign(np.where(np.arange(32).reshape(8, 4) == 5, np.nan, dense.kernel.numpy()))
broken.save(place / "broken.keras")

class Noisy(tf.Module):
    def __init__(self):
        self.seen = tf.Variable(tf.zeros((1, 4)))
    @tf.function(input_signature=[tf.TensorSpec((1, 4), name="x")])
    def draw(self, x):
        return {"y": x + tf.random.uniform((1, 4))}
    @tf.function(input_signature=[tf.TensorSpec((1, 4), name="x")])
    def keep(self, x):
        return {"y": self.seen.assign_add(x) + 0.}

noisy = Noisy()
tf.saved_model.save(noisy, str(place / "draws"), signatures=noisy.draw)
tf.saved_model.save(noisy, str(place / "keeps"), signatures=noisy.keep)
with tf.Graph().as_default() as graph:
    given = tf.compat.v1.placeholder(tf.float32, (1, 4), name="x")
    tf.add(given, tf.random.normal((1, 4)), name="y")
(place / "draws.pb").write_bytes(graph.as_graph_def().SerializeToString())
converter = tf.lite.TFLiteConverter.from_concrete_functions([noisy.keep.get_concrete_function()], noisy)
converter.experimental_enable_resource_variables = True
(place / "keeps.tflite").write_bytes(converter.convert())
"""
MAKE_TORCH = """
import random, sys, torch

class Draws(torch.nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x)

class Keeps(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1, 4))
    def forward(self, x):
        self.seen.add_(x)
        return self.seen * 2

class Drops(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.dropout(x, 0.5)

class Rolls(torch.nn.Module):
    def forward(self, x):
        return x + random.random()

def rolls(): return Rolls(), torch.ones(1, 4)
def draws(): return Draws(), torch.ones(1, 4)
def keeps(): return Keeps(), torch.ones(1, 4)
def drops(): return Drops(), torch.ones(1, 4)

if __name__ == "__main__":
    for net in (Draws(), Keeps()):
        path = f"{sys.argv[1]}/{type(net).__name__.lower()}.pt2"
        torch.export.save(torch.export.export(net.eval(), (torch.ones(1, 4),)), path)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models of each kind."""
    folder = tmp_path_factory.mktemp("changing")
    (folder / "nets.py").write_text(MAKE_TORCH)
    for program in (["-c", MAKE_TENSORFLOW], [str(folder / "nets.py")]):
        subprocess.run(
            [sys.executable, "-W", "ignore", *program, folder], check=True, capture_output=True, timeout=300
        )
    for name in ("Multinomial", "Dropout", "RandomNormalLike", "unread"):
        write_onnx(folder / f"{name}.onnx", name)
    return folder


def write_onnx(path: Path, operator: str) -> None:
    """x + what the operator makes of x; `unread`: nothing reads what is drawn, and Dropout is not training."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    node, extra = helper.make_node, []
    if operator == "Multinomial":  # always the same number: only its name gives it away
        extra = [node("Multinomial", ["sure"], ["i"], sample_size=1), node("Cast", ["i"], ["z"], to=1)]
    elif operator == "Dropout":
        extra = [node("Dropout", ["x", "half", "yes"], ["z"])]
    elif operator == "RandomNormalLike":
        extra = [node("RandomNormalLike", ["x"], ["z"])]
    else:
        extra = [node("RandomNormalLike", ["x"], ["nothing"]), node("Dropout", ["x", "half", "no"], ["z"])]
    weights = {"half": np.float32(0.5), "yes": np.array(True), "no": np.array(False)}
    weights["sure"] = np.array([[0, -1e9]], np.float32)
    graph = helper.make_graph(
        [*extra, node("Add", ["x", "z"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


@pytest.mark.parametrize(
    ("source", "code", "cause"),
    [
        ("stateful.keras", "model-stateful", "layer memory"),
        ("stateful.h5", "model-stateful", "layer memory"),
        ("draws", "model-random", "RandomUniform"),
        ("keeps", "model-stateful", "AssignAddVariableOp"),
        ("draws.pb", "model-random", "RandomStandardNormal"),
        ("keeps.tflite", "model-stateful", "ASSIGN_VARIABLE"),
        ("Multinomial.onnx", "model-random", "Multinomial"),
        ("Dropout.onnx", "model-random", "Dropout in training mode"),
        ("RandomNormalLike.onnx", "model-random", "RandomNormalLike"),
        ("draws.pt2", "model-random", "rand_like"),
        ("keeps.pt2", "model-stateful", "seen"),
        ("nets.py:draws", "model-random", "rand_like"),
        ("nets.py:keeps", "model-stateful", "seen"),
        ("nets.py:drops", "model-random", "dropout"),
        ("nets.py:rolls", "model-random", "answers the same input differently each time"),
    ],
)
def test_what_changes_from_call_to_call_is_refused_with_its_cause(
    place: Path, read: Callable[..., object], source: str, code: str, cause: str
) -> None:
    with pytest.raises(ModelError) as caught:
        read(place / source)
    assert caught.value.code == code, caught.value.message
    assert cause in caught.value.message
    assert caught.value.hint


def test_what_is_drawn_and_not_used_is_no_reason(place: Path, read: Callable[..., object]) -> None:
    read(place / "unread.onnx")


def test_answers_that_are_not_finite_are_named(place: Path, workers: Workers) -> None:
    """Also where all answers are the same NaN, and where --allow-constant was given."""
    for allowed in (False, True):
        request = compile_request(source=place / "broken.keras", target="tflite", allow_constant=allowed)
        with pytest.raises(ConversionError) as caught:
            compile_model(request, workers=workers)
        assert caught.value.message == (
            "output dense is not finite in the source: NaN for 16 of 16 golden inputs"
        )
        assert "dense/kernel" in str(caught.value.hint)
