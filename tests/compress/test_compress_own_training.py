"""Losses, optimisers and schedules of the user's own, on real digits in both frameworks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compress import frameworks, recipes, training_functions
from edgewright.compress.network import Network
from edgewright.errors import Code, ConversionError, DataError, UsageError
from edgewright.nouns.compression import ChannelPruning, Training
from edgewright.nouns.recipe import TrainingOptions

pytestmark = pytest.mark.slow
OWN = Path(__file__).with_name("own_training.py")
NETS = Path(__file__).with_name("torch_nets.py")
FRAMEWORKS = ("keras", "torch")


def own(name: str) -> str:
    return f"{OWN}:{name}"


def opened(framework: str, digits: Path) -> Network:
    if framework == "keras":
        return frameworks.open_network(digits / "digits.keras", "keras")
    return frameworks.open_network(Path(f"{NETS}:digits"), "pytorch")


@pytest.fixture(scope="module")
def data(digits: Path) -> tuple[list[np.ndarray], np.ndarray]:
    with np.load(digits / "train.npz") as found:
        return [found["x"][:300]], found["labels"][:300]


def weights(network: Network) -> dict[str, np.ndarray]:
    return {layer.name: network.weight(layer.name) for layer in network.layers()}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray], tolerance: float = 0.0) -> bool:
    return all(np.allclose(one[name], other[name], rtol=0, atol=tolerance) for name in one)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_loss_equal_to_the_built_in_one_trains_the_same(
    framework: str, digits: Path, data: Any, tmp_path: Path
) -> None:
    """Also together with a teacher, and as the gradient that importance is of."""
    network = opened(framework, digits)
    mine, built_in = own(f"{framework}_loss"), "cross_entropy"
    network.checkpoint(folder := tmp_path / "fresh")
    also = [own("keras_own_loss")] if framework == "keras" else []
    expected, *first = [network.importance(*data, loss, "taylor") for loss in (built_in, mine, *also)]
    for found in first:
        assert all(np.allclose(found[name], expected[name], rtol=1e-3, atol=1e-6) for name in expected)
    teacher = opened(framework, digits)
    trained = []
    for loss in (mine, built_in):
        training = Training(loss=loss, teacher_loss=built_in, optimiser="sgd", rate=0.01, soft=0.5)
        network.restore(folder)
        losses = [network.train(*data, training, 0), network.train(*data, training, 1, teacher)]
        trained.append((losses, weights(network)))
    assert trained[0][0] == pytest.approx(trained[1][0], rel=1e-4)
    assert same(trained[0][1], trained[1][1], 1e-5)
    network.restore(folder)
    assert not same(weights(network), trained[0][1], 1e-3)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_an_optimiser_continues_from_its_checkpoint(
    framework: str, digits: Path, data: Any, tmp_path: Path
) -> None:
    """In a network that was opened afresh, and exactly: its state comes back, and its groups keep their proportions."""
    training = Training(loss="cross_entropy", optimiser=own(f"{framework}_optimiser"), rate=1e-3)
    whole = opened(framework, digits)
    whole.prune_channels(ChannelPruning(share=0.25), {})
    whole.train(*data, training, 0)
    whole.checkpoint(tmp_path / "kept")
    later = Training(loss="cross_entropy", optimiser=training.optimiser, rate=1e-3, factor=0.5)
    loss = whole.train(*data, later, 1)
    again = opened(framework, digits)
    again.restore(tmp_path / "kept")
    assert again.train(*data, later, 1) == pytest.approx(loss, rel=1e-6)
    assert same(weights(whole), weights(again), 1e-6)
    again.restore(tmp_path / "kept")
    again.train(*data, Training(loss="cross_entropy", optimiser="sgd", rate=1e-3, factor=0.5), 1)
    assert not same(weights(whole), weights(again), 1e-4)
    again.restore(tmp_path / "kept")
    before = weights(again)
    again.train(*data, Training(loss="cross_entropy", optimiser=training.optimiser, rate=1e-3, factor=0.0), 1)
    assert same(before, weights(again))


WRONG = [
    ("loss", "nothing", "returned None"),
    ("loss", "broken", "failed: ValueError: no such thing, at own_training.py:"),
    ("loss", "{}_apart", "does not depend on the network's output"),
    ("loss", "{}_total", "shape"),
    ("optimiser", "nothing", "returned None"),
    ("optimiser", "broken", "failed: ValueError: no such thing"),
]  # fmt: skip
WRONG_KERAS = [("optimiser", "keras_twice", "in use"), ("optimiser", "keras_scheduled", "with a schedule")]
WRONG_TORCH = [("optimiser", "torch_closure", "closure")]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_wrong_function_is_named(framework: str, digits: Path, data: Any, tmp_path: Path) -> None:
    network = opened(framework, digits)
    for what, name, message in (*WRONG, *(WRONG_KERAS if framework == "keras" else WRONG_TORCH)):
        name = name.format(framework)
        given = {"loss": "cross_entropy", what: own(name)}
        with pytest.raises(DataError, match=message) as caught:
            for _ in range(2):
                network.train(*data, Training(**given), 0)
                network.prune_channels(ChannelPruning(share=0.1), {})
        assert f"{what} own_training.py:{name} " in caught.value.message
        assert caught.value.hint
    with pytest.raises(ConversionError, match=r"not finite|is nan") as diverged:
        network.train(*data, Training(loss=own("infinite")), 0)
    assert diverged.value.code == Code.TRAINING_DIVERGED
    assert "own_training.py:infinite returns finite values" in diverged.value.hint
    if framework == "torch":
        fresh = opened(framework, digits)
        fresh.train(*data, Training(loss="cross_entropy", optimiser=own("torch_strange")), 0)
        with pytest.raises(
            DataError, match=r"optimiser own_training.py:torch_strange keeps a ndarray in its state"
        ):
            fresh.checkpoint(tmp_path / "strange")


def test_schedules() -> None:
    cosine = [training_functions.factor("cosine", epoch, 4) for epoch in range(4)]
    assert cosine == pytest.approx([1, 0.8536, 0.5, 0.1464], abs=1e-4)
    assert training_functions.factor("constant", 3, 4) == 1
    assert training_functions.factor(own("warm"), 0, 4) == 0.25
    for name, message in (
        ("endless", "returned inf for epoch 1 of 4"),
        ("nothing", "None"),
        ("broken", "failed"),
    ):
        with pytest.raises(DataError, match=f"schedule own_training.py:{name} .*{message}"):
            training_functions.factor(own(name), 1, 4)


def test_functions_are_found_from_the_recipe(tmp_path: Path) -> None:
    """A missing file or a wrong name is refused before anything is opened. If a module that they import changes, so do their hashes."""
    (tmp_path / "own.py").write_text("from beside import factor\ndef loss(a, b): ...\n")
    (tmp_path / "beside.py").write_text("factor = 1\n")
    text = '[training]\nloss = "own.py:loss"\n[[steps]]\nuse = "finetune"\ntraining = {schedule = "own.py:factor"}\n'
    (tmp_path / "recipe.toml").write_text(text)
    found = recipes.load(tmp_path / "recipe.toml")
    assert found.training.loss == f"{tmp_path}/own.py:loss"
    assert found.steps[0].options.training.schedule == f"{tmp_path}/own.py:factor"
    assert {file.name for file in training_functions.files(found.training)} == {"own.py", "beside.py"}
    before = training_functions.hashes(found.training)
    (tmp_path / "beside.py").write_text("factor = 2\n")
    after = training_functions.hashes(found.training)
    assert before.keys() == after.keys() == {"loss"} and before != after
    for options, message in (
        ({"loss": "crossentropy"}, "unknown loss: crossentropy"),
        ({"optimiser": "lion"}, "unknown optimiser: lion"),
        ({"schedule": f"{tmp_path}/own.py:los"}, "schedule: no function los"),
        ({"schedule": f"{tmp_path}/none.py:f"}, "schedule: no such module"),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            training_functions.check(TrainingOptions(**options))
        assert caught.value.hint
