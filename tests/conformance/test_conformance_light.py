"""Well-known architectures from file to board: the `light_*.onnx` graphs with weights that answer, see `light_models`.

What each target makes of all of them stands in docs/models.md, which `report.py` writes.
"""

from __future__ import annotations

from pathlib import Path

import light_models
import numpy as np
import pytest

SMALL = ("squeezenet", "shufflenet", "inception_v1", "resnet50", "densenet121")
CASES = [
    *((name, target, "fp32") for name in SMALL for target in ("onnxruntime", "openvino")),
    ("squeezenet", "onnxruntime", "int8"),
    ("inception_v1", "onnxruntime", "int8"),
]


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory):
    """`light(name)`: (the graph's file, calibration pictures for it), made once."""
    folder = tmp_path_factory.mktemp("light")

    def made(name: str) -> tuple[Path, Path]:
        file, data = folder / f"{name}.onnx", folder / f"{name}.npz"
        if not file.exists():
            light_models.make(name, file)
            np.savez(data, **{light_models.input_name(file): light_models.pictures(24, seed=11)})
        return file, data

    return made


@pytest.mark.slow
@pytest.mark.parametrize(("name", "target", "precision"), sorted(CASES))
def test_a_well_known_graph_answers_on_the_board_as_at_its_source(light, deployed, name, target, precision):
    file, data = light(name)
    outcome = deployed(file, target, precision, calibration=data)
    assert outcome.outcome == "committed", outcome
    (answers,) = [check for check in outcome.checks if check.name == "answers"]
    assert answers.ok


@pytest.mark.slow
def test_pictures_get_answers_of_their_own(light):
    """Else a parity would be between two constants."""
    import onnxruntime

    file, _ = light("squeezenet")
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    name = light_models.input_name(file)
    answers = np.stack(
        [session.run(None, {name: one[None]})[0].ravel() for one in light_models.pictures(8, seed=5)]
    )
    common = np.mean(answers, axis=0)
    assert np.sum((answers - common) ** 2) > 0.5 * np.sum(answers**2)
    assert len(set(answers.argmax(axis=1))) > 4


@pytest.mark.slow
def test_the_weights_come_from_a_seed(tmp_path):
    one, two = (light_models.make("squeezenet", tmp_path / name).read_bytes() for name in "ab")
    assert one == two
