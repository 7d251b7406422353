"""The same pictures with another preprocessing are another evaluation set: their figures are not compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from edgewright.compile.data import evaluation_set
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.project import Preprocessing

IMAGE = (TensorSpec(name="image", shape=(1, 4, 4, 1), dtype="float32"),)
GRAY = Preprocessing(channels="gray", scale=1 / 255)
OTHERS = {"scale": 1 / 128, "mean": (0.5,), "std": (0.2,), "size": (4, 4)}


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[[Preprocessing], evaluation_set.EvaluationSet]:
    """The evaluation set of a folder, with some preprocessing."""
    for number, label in enumerate(("cat", "dog", "dog")):
        place = tmp_path / "set" / label / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 40 * number + 10).save(place)
    return lambda preprocessing: evaluation_set.prepare(tmp_path / "set", IMAGE, preprocessing)


@pytest.mark.parametrize("key", OTHERS)
def test_another_preprocessing_of_the_same_images_is_another_set(prepared, key: str) -> None:
    other = msgspec.structs.replace(GRAY, **{key: OTHERS[key]})
    assert prepared(other).sha256 != prepared(GRAY).sha256
    assert prepared(msgspec.structs.replace(other)).sha256 == prepared(other).sha256


def test_a_preprocessing_that_a_manifest_gave_back_is_the_same(prepared) -> None:
    again = msgspec.json.decode(msgspec.json.encode(GRAY), type=Preprocessing)
    assert again is not GRAY and prepared(again).sha256 == prepared(GRAY).sha256


def test_arrays_are_not_preprocessed_and_stay_the_same_set(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, image=np.ones((3, 4, 4, 1), np.float32), labels=np.arange(3))
    made = [evaluation_set.prepare(path, IMAGE, preprocessing) for preprocessing in (None, GRAY)]
    assert made[0].sha256 == made[1].sha256
    assert made[0].inputs.read_bytes() == made[1].inputs.read_bytes()
