"""Sources that compute in other floats than float32: float32 in the file, right against the source as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgewright.compile.workers.pool import Workers, as_user
from edgewright.nouns.artifact import Artifact
from edgewright.precisions import limits
from edgewright_targets.tflite import graph

MODELS = ("mixed_float16.keras", "mixed_bfloat16.keras", "float16", "frozen.pb")


def write(folder: Path) -> None:
    """A small net of each kind. Runs in the worker of TensorFlow."""
    import keras
    import tensorflow as tf
    from keras import layers

    def recurrent(policy: str) -> keras.Model:
        given = layers.Input((6, 4), name="x")
        dense = layers.Dense(3, dtype=policy)(layers.LSTM(8, dtype=policy)(given))
        return keras.Model(given, dense)

    def image(policy: str, **more: str) -> keras.Model:
        given = layers.Input((8, 8, 3), name="x", **more)
        inner = layers.Conv2D(6, 3, activation="relu", dtype=policy)(given)
        inner = layers.DepthwiseConv2D(3, dtype=policy)(layers.BatchNormalization(dtype=policy)(inner))
        return keras.Model(given, layers.Dense(4, dtype=policy)(layers.Flatten(dtype=policy)(inner)))

    keras.utils.set_random_seed(4)
    image("mixed_float16").save(folder / "mixed_float16.keras")
    recurrent("mixed_bfloat16").save(folder / "mixed_bfloat16.keras")
    image("float16", dtype="float16").export(folder / "float16", verbose=False)
    v1 = tf.compat.v1
    with v1.Graph().as_default() as built:
        given = v1.placeholder(tf.float64, (1, 6), name="x")
        weights = tf.constant(np.random.default_rng(2).normal(size=(6, 5)))
        tf.nn.softmax(tf.matmul(given, weights), name="y")
    (folder / "frozen.pb").write_bytes(built.as_graph_def().SerializeToString())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, workers: Workers) -> Path:
    made = tmp_path_factory.mktemp("narrow")
    workers.call(as_user("tensorflow"), __name__, "write", folder=made)
    return made


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("precision, least", [("fp32", 35), ("int8", 20)])
def test_every_precision_is_made_from_float32(
    convert: Callable[..., Artifact], folder: Path, name: str, precision: str, least: float
) -> None:
    manifest = convert(folder / name, precision).manifest
    assert manifest.parity.sqnr_db > least
    assert manifest.inputs[0].dtype == "float32"
    narrow = {"frozen.pb": "float64", "mixed_bfloat16.keras": "bfloat16"}.get(name, "float16")
    also = ", inputs too: x" if name in ("float16", "frozen.pb") else ""
    assert f"{narrow} became float32 before the conversion{also}" in manifest.notes


def test_such_a_file_holds_no_other_floats(convert: Callable[..., Artifact], folder: Path) -> None:
    artifact = convert(folder / "float16", "fp32")
    data = (artifact.folder / artifact.manifest.entry).read_bytes()
    types = {tensor.type for one in graph.operators(data) for tensor in (*one.inputs, *one.outputs)}
    assert types & {"FLOAT16", "FLOAT64", "BFLOAT16", "FLOAT32"} == {"FLOAT32"}


def test_limits_are_no_stricter_than_the_source_is_exact() -> None:
    assert limits("fp32") == limits("fp32", "float64")
    assert limits("fp32", "float16").tolerance == limits("fp16").tolerance
    assert limits("fp32", "bfloat16").tolerance.sqnr_db < limits("fp32", "float16").tolerance.sqnr_db
    assert limits("int8", "float16").tolerance == limits("int8").tolerance
