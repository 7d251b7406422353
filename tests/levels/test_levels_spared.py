"""What LiteRT's int8 leaves in floats by itself, and that it leaves nothing there for nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compile.workers.pool import Workers, as_user
from edgewright.nouns.artifact import Artifact
from edgewright_targets.tflite import graph, runner

Convert = Callable[..., Artifact]


def answers_of_keras(path: Path, samples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Runs in the worker of TensorFlow."""
    import keras

    return np.asarray(keras.models.load_model(path, compile=False)(samples))


def operators(artifact: Artifact) -> list[graph.Operator]:
    return graph.operators((artifact.folder / artifact.manifest.entry).read_bytes())


def moves_in(artifact: Artifact) -> set[tuple[str, str]]:
    """(operator, type of its output) of what joins and reshapes."""
    return {
        (one.kind, one.outputs[0].type)
        for one in operators(artifact)
        if one.kind in ("CONCATENATION", "RESHAPE")
    }


def test_scores_beside_pixels_follow_their_source(
    convert: Convert, keras_folder: Path, workers: Workers
) -> None:
    source = keras_folder / "head.keras"
    artifact = convert(source, "tflite")
    (note,) = artifact.manifest.notes
    assert note.startswith("in floats: what joins output pred: the range of one part is 0.0")
    assert ("CONCATENATION", "FLOAT32") in moves_in(artifact)
    assert all(one.inputs[0].type == "INT8" for one in operators(artifact) if one.kind == "CONV_2D")
    fresh = np.random.default_rng(77).random((48, 16, 16, 3), dtype=np.float32)
    reference = workers.call(as_user("tensorflow"), __name__, "answers_of_keras", path=source, samples=fresh)
    loaded = runner.load(str(artifact.folder), manifest_of(artifact), {})
    answers = np.stack(
        [
            np.frombuffer(loaded.read(loaded.infer(loaded.feed([one[None].tobytes()])))[0], "f4")
            for one in fresh
        ]
    ).reshape(reference.shape)
    signal = ((reference - reference.mean(0)) ** 2).sum((0, 1))
    assert (10 * np.log10(signal / ((answers - reference) ** 2).sum((0, 1)))).min() > 20  # of each column


def manifest_of(artifact: Artifact) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(artifact.manifest)
    return found


def test_parts_of_one_range_stay_in_integers(convert: Convert, keras_folder: Path) -> None:
    artifact = convert(keras_folder / "even.keras", "tflite")
    assert artifact.manifest.notes == ()
    assert {kind for _, kind in moves_in(artifact)} == {"INT8"}


@pytest.mark.parametrize("precision", ["int8", "int16x8"])
@pytest.mark.parametrize("name", ["masked", "lowest"])
def test_what_stands_for_minus_infinity_is_not_rounded(
    convert: Convert, keras_folder: Path, name: str, precision: str
) -> None:
    artifact = convert(keras_folder / f"{name}.keras", "tflite", precision)
    assert artifact.manifest.parity.sqnr_db > 20
    (note,) = artifact.manifest.notes
    assert note.startswith("in floats: what masks the Softmax: " if name == "masked" else "in floats: ")
    wide = {"int8": "INT8", "int16x8": "INT16"}[precision]
    dense = [one for one in operators(artifact) if one.kind in ("FULLY_CONNECTED", "BATCH_MATMUL")]
    assert dense and all(one.inputs[0].type == wide for one in dense)
