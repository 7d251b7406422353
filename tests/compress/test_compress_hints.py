"""Layers that learn from a teacher's layers, in both frameworks, on real digits."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compress import frameworks
from edgewright.compress.distillation import check_hints, hints_of
from edgewright.compress.network import Network
from edgewright.errors import UsageError
from edgewright.nouns.compression import ChannelPruning, Training

pytestmark = pytest.mark.slow
NETS = Path(__file__).parent / "torch_nets.py"
# one before, one after a normalisation; the third has no weights
LAYERS = {"keras": ["stem", "second", "re_lu_2"], "pytorch": ["stem", "inner", "second"]}
Case = tuple[list[str], Callable[[], Network], Network, np.ndarray, np.ndarray]


@pytest.fixture(scope="module", params=["keras", "pytorch"])
def case(request: pytest.FixtureRequest, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """(layers, what makes a student with a quarter of its channels, its teacher, images, classes)."""
    kind = request.param
    with np.load(digits / "train.npz") as data:
        x, y = data["x"][:600], data["labels"][:600]
    path = digits / "digits.keras" if kind == "keras" else Path(f"{NETS}:digits")
    teacher = frameworks.open_network(path, kind)
    if kind == "pytorch":  # the other one is trained already
        for epoch in range(6):
            teacher.train([x], y, Training(loss="cross_entropy", rate=3e-3), epoch)
    kept = tmp_path_factory.mktemp("teacher") / "kept"
    teacher.checkpoint(kept)

    def student() -> Network:
        made = frameworks.open_network(path, kind)
        made.restore(kept)
        made.prune_channels(ChannelPruning(share=0.75), {})
        return made

    return LAYERS[kind], student, teacher, x, y


def term(student: list[np.ndarray], teacher: list[np.ndarray]) -> float:
    """The formula of `Network.train`, for one batch."""

    def similarity(output: np.ndarray) -> np.ndarray:
        flat = output.reshape(len(output), -1).astype("float64")
        gram = flat @ flat.T
        return gram / np.linalg.norm(gram, axis=1, keepdims=True)

    pairs = zip(student, teacher, strict=True)
    return float(np.mean([((similarity(a) - similarity(b)) ** 2).sum(1).mean() for a, b in pairs]))


def test_hints_are_the_formula_and_bring_layers_nearer_to_the_teachers(case: Case) -> None:
    layers, student, teacher, x, y = case
    hinted, plain = student(), student()
    assert hinted.inner_layers() == teacher.inner_layers()
    first = hints_of(layers[:1])  # no normalisation before it: training computes what `predict` does
    still = {"loss": "cross_entropy", "rate": 0.0, "batch": 100, "soft": 0.5}
    losses = [
        hinted.train([x[:100]], y[:100], Training(**still, hints=hints, hint_weight=7.0), 0, teacher)
        for hints in ((), first)
    ]
    found, wanted = (one.predict([x[:100]], layers=layers[:1])[-1:] for one in (hinted, teacher))
    assert found[0].shape != wanted[0].shape
    assert losses[1] - losses[0] == pytest.approx(7.0 * term(found, wanted), rel=1e-3)

    away = []
    for one, hints in ((hinted, hints_of(layers)), (plain, ())):
        for epoch in range(3):
            training = Training(loss="cross_entropy", rate=2e-3, soft=0.9, hints=hints, hint_weight=10.0)
            one.train([x], y, training, epoch, teacher)
        inner = [each.predict([x[:100]], layers=layers)[-3:] for each in (one, teacher)]
        away.append(term(*inner))
    assert away[0] < 0.7 * away[1]


def test_other_layers_may_teach_also_in_int8(case: Case) -> None:
    """The outputs are those of the simulated network; a teacher's layer of another place and shape counts."""
    layers, student, teacher, x, _ = case
    one = student()
    floats = one.predict([x[:50]], layers=layers)
    one.simulate([x[:100]])
    rounded = one.predict([x[:50]], layers=layers)
    assert [array.shape for array in rounded] == [array.shape for array in floats]
    for exact, near in zip(floats[1:], rounded[1:], strict=True):
        assert 0 < np.abs(exact - near).max() < 0.2 * np.abs(exact).max()
    losses = []
    for weight in (0.0, 50.0):
        hints = hints_of([f"{layers[1]}={layers[0]}"])
        training = Training(loss="cross_entropy", rate=0.0, soft=1.0, hints=hints, hint_weight=weight)
        losses.append(one.train([x[:100]], np.zeros(0, int), training, 0, teacher))
    assert losses[1] > losses[0] + 1


@pytest.mark.parametrize(
    ("hint", "message", "near"),
    [
        ("stern=stem", "the network has no such layer: stern", "stem"),
        ("stem=sekond", "the teacher has no such layer: sekond", "second"),
        ("nothing-like-it", "the network has no such layer: nothing-like-it", "its layers: stem"),
    ],
)
def test_a_layer_that_is_not_there_is_named(case: Case, hint: str, message: str, near: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        check_hints(hints_of([hint]), case[2], case[2])
    assert near in caught.value.hint


def test_layers_of_a_program_are_those_with_weights(tmp_path: Path) -> None:
    """It has no modules. The outputs are those of the module that it was made of, also simulated."""
    module = frameworks.open_network(Path(f"{NETS}:digits"), "pytorch")
    module.save(tmp_path / "net.pt2")
    program = frameworks.open_network(tmp_path / "net.pt2", "pt2")
    names = [layer.name for layer in module.layers()]
    assert list(program.inner_layers().items()) == [(name, "") for name in names]
    x = np.random.default_rng(0).random((20, 8, 8, 1), "float32")
    for _ in range(2):
        pairs = zip(*(one.predict([x], layers=names) for one in (module, program)), strict=True)
        assert all(np.allclose(one, two, atol=1e-4) for one, two in pairs)
        module.simulate([x])
        program.simulate([x])


def test_layers_of_a_program_that_takes_one_sample(tmp_path: Path) -> None:
    """It runs once per sample."""
    import torch

    module, example = runpy.run_path(str(NETS))["baked_view"]()
    torch.export.save(torch.export.export(module.eval(), (example,)), tmp_path / "one.pt2")
    network = frameworks.open_network(tmp_path / "one.pt2", "pt2")
    assert network.inner_layers() == {"conv": "", "last": ""}
    x = np.random.default_rng(0).random((5, 1, 8, 8), "float32")
    with torch.no_grad():
        wanted = module.conv(torch.from_numpy(x)).numpy()
    assert np.allclose(network.predict([x], layers=["conv"])[-1], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "layer", "reason"),
    [
        ("hard_twice", "block.parts.0", "it runs 2 times"),
        ("hard_attention", "block.parts.0", "it returns several tensors"),
        ("hard_attention", "block.parts", "it does not run"),
    ],
)
def test_outputs_that_cannot_be_compared(name: str, layer: str, reason: str) -> None:
    network: Any = frameworks.open_network(Path(f"{NETS}:{name}"), "pytorch")
    with pytest.raises(UsageError, match=f"layer {layer} of the network cannot be compared: {reason}"):
        check_hints(hints_of([layer]), network, network)
