"""Well-known architectures from file to board: the `light_*.onnx` graphs with useful weights, see `light_models`.

What each target makes of all of them stands in docs/models.md, which `report.py` writes.
"""

from __future__ import annotations

from pathlib import Path

import light_models
import numpy as np
import pytest

from edgewright.compile.sources import onnx_session

TARGETS = ("onnxruntime", "openvino", "tflite")
FOR_ITSELF = "vgg19"  # 575 MB: by `report.py`
CASES = [
    *((name, target, "fp32") for name in light_models.names() if name != FOR_ITSELF for target in TARGETS),
    (
        "densenet121",
        "onnxruntime",
        "int8",
    ),  # the others choose other classes in 8 bits, since their weights are random
    ("densenet121", "openvino", "int8"),
]
LIGHT = ("squeezenet", "shufflenet")  # megabytes; the others up to 250


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


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("name", "target", "precision"),
    [
        pytest.param(*case, marks=pytest.mark.slow if case[0] in LIGHT else pytest.mark.exhaustive)
        for case in sorted(CASES)
    ],
)
def test_a_well_known_graph_answers_on_the_board_as_at_its_source(
    light, deployed, answered, onnx2tf, name, target, precision
):
    file, data = light(name)
    outcome = deployed(file, target, precision, calibration=data)
    assert answered(outcome) > (60 if precision == "fp32" else 0)
    if (name, target, precision) == max(case for case in CASES if case[0] == name):
        file.unlink()  # hundreds of megabytes


def test_every_graph_but_the_largest_goes_to_a_board_on_every_target():
    tried = {(name, target) for name, target, _ in CASES}
    assert tried == {
        (name, target) for name in light_models.names() for target in TARGETS if name != FOR_ITSELF
    }
    assert (
        len(light_models.names()) == 9 and max(light_models.names(), key=light_models.megabytes) == FOR_ITSELF
    )


@pytest.mark.slow
def test_pictures_get_answers_of_their_own(light):
    """Otherwise parity would compare two constants."""
    file, _ = light("squeezenet")
    session = onnx_session.session(file)
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
