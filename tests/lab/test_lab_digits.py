"""The example that the demo runs: its data, its models, its project file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgewright.config import project

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
SCORE = """
import json, sys
import keras, numpy as np
held = np.load(sys.argv[1] + "/evaluation.npz")
scores = {}
for name in ("v1", "v2", "v4"):
    model = keras.saving.load_model(sys.argv[1] + "/digits-" + name + ".keras")
    assert model.input.name == "x" and model.input_shape == (None, 8, 8, 1), model.input
    answers = model.predict(held["x"], verbose=0)
    assert answers.shape == (450, 10) and abs(answers.sum(axis=1) - 1).max() < 1e-5
    scores[name] = float((answers.argmax(axis=1) == held["labels"]).mean())
print(json.dumps(scores))
"""


@pytest.mark.parametrize(("file", "count"), [("calibration", 128), ("evaluation", 450), ("sample", 1)])
def test_the_images_are_scaled_floats_and_not_blank(file, count):
    with np.load(DIGITS / f"{file}.npz") as data:
        x = data["x"]
    assert (x.shape, x.dtype) == ((count, 8, 8, 1), np.float32)
    assert x.min() == 0.0
    assert x.max() == 1.0


def test_the_evaluation_set_has_every_digit_and_none_of_the_calibration_set():
    with np.load(DIGITS / "evaluation.npz") as held, np.load(DIGITS / "calibration.npz") as trained:
        assert held["labels"].shape == (450,)
        assert set(held["labels"].tolist()) == set(range(10))
        known = {image.tobytes() for image in trained["x"]}
        assert not known & {image.tobytes() for image in held["x"]}


def test_the_project_file_names_files_that_are_there():
    found = project.load(DIGITS / "edgewright.toml")
    for relative in (found.file.model, found.file.calibration, found.file.evaluation):
        assert found.resolve(relative).is_file()
    assert found.budget_for("pi4b").max_drop == 0.02
    assert found.budget_for("pi-zero-2w").peak_process_mb < found.budget_for("pi4b").peak_process_mb


def test_the_files_are_small():
    assert [
        path.name for path in DIGITS.iterdir() if path.is_file() and path.stat().st_size > 400 * 1024
    ] == []


def test_the_good_models_are_good_and_the_spoilt_one_is_not():
    done = subprocess.run(
        [sys.executable, "-c", SCORE, str(DIGITS)], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    scores = json.loads(done.stdout.splitlines()[-1])
    assert scores["v1"] > 0.97
    assert 0.70 < scores["v2"] < 0.85
    assert scores["v4"] >= scores["v1"]
