"""The small models through TVM, from several formats: right on goldens that differ, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgewright.errors import ConversionError
from edgewright.nouns.artifact import Artifact

pytestmark = pytest.mark.slow


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("onnx", "cnn.onnx"),
        ("onnx", "attention.onnx"),
        ("onnx", "dynamic.onnx"),
        ("keras", "cnn.keras"),
        ("keras", "two_in_two_out.tflite"),
        ("torch", "attention.pt2"),
    ],
)
def test_a_small_model_answers_as_its_source(
    small_models: Callable[[str], Path], compiled: Callable[..., Artifact], kind: str, file: str
) -> None:
    shapes = {"image": (1, 3, 12, 14)} if file.startswith("dynamic") else {}
    artifact = compiled(small_models(kind) / file, shapes=shapes)
    manifest = artifact.manifest
    assert manifest.parity.sqnr_db > 80
    with np.load(artifact.folder / manifest.goldens.file) as goldens:
        for place in range(len(manifest.outputs)):
            answers = goldens[f"output_{place}"]
            assert len(np.unique(answers, axis=0)) == len(answers), "goldens have one answer"


@pytest.mark.parametrize(("file", "kind"), [("lstm.onnx", "LSTM"), ("gru.onnx", "GRU")])
def test_recurrent_layers_are_refused_by_name(
    small_models: Callable[[str], Path], compiled: Callable[..., Artifact], file: str, kind: str
) -> None:
    with pytest.raises(ConversionError, match=rf"TVM cannot compile {kind} \(.+\): .*not supported"):
        compiled(small_models("onnx") / file)
