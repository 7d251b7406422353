"""A student made of the network itself: fewer channels, new weights, taught by the original."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import command_line

from edgewright.compress import frameworks
from edgewright.compress.network import Network
from edgewright.compress.recipe_check import check_order
from edgewright.compress.recipes import of_steps, step
from edgewright.compress.step_run import StepRun
from edgewright.compress.steps import STEPS
from edgewright.errors import ConversionError, UsageError
from edgewright.nouns.compression import ChannelPruning, Training
from edgewright.nouns.recipe import DEFAULT_TRAINING, TrainingOptions

pytestmark = pytest.mark.slow
NETS = Path(__file__).parent / "torch_nets.py"


def opened(name: str) -> Any:
    return frameworks.open_network(Path(f"{NETS}:{name}"), "pytorch")


def weights(network: Network) -> dict[str, np.ndarray]:
    return {layer.name: network.weight(layer.name) for layer in network.layers()}


def same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> list[bool]:
    return [np.array_equal(one[name], two[name]) for name in one]


class Digits:
    """The digits, and a network that knows them."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        with np.load(folder / "train.npz") as train, np.load(folder / "test.npz") as test:
            self.x, self.y, self.test = train["x"], train["labels"], (test["x"], test["labels"])
        self.path = folder / "digits.keras" if kind == "keras" else Path(f"{NETS}:digits")
        self.teacher = self.opened()
        if kind == "pytorch":  # the other one is trained already
            for epoch in range(5):
                training = Training(loss="cross_entropy", rate=3e-3)
                self.teacher.train([self.x], self.y, training, epoch)

    def opened(self) -> Network:
        return frameworks.open_network(self.path, self.kind)

    def taken(self, network: Network, seed: int = 0, **table: Any) -> list[str]:
        """Runs a step; returns its notes."""
        made, training = step(table, "here"), TrainingOptions(rate=5e-3).over(DEFAULT_TRAINING)
        run = StepRun(network, lambda _: self.teacher, ([self.x], self.y), "cross_entropy", training, seed)
        kind = STEPS[made.use]
        notes = [] if kind.begin is None else list(kind.begin(run, made.options))
        for number in range(made.options.epochs):
            kind.epoch(run, made.options, number)  # type: ignore[misc] # each of these trains
        return notes

    def accuracy(self, network: Network) -> float:
        x, y = self.test
        return float((network.predict([x])[0].argmax(1) == y).mean())


@pytest.fixture(scope="module", params=["keras", "pytorch"])
def digits_of(request: pytest.FixtureRequest, digits: Path) -> Digits:
    return Digits(request.param, digits)


def test_a_narrow_student_learns_from_the_original(digits_of: Digits) -> None:
    student, pruned, whole = digits_of.opened(), digits_of.opened(), digits_of.opened()
    (note,) = digits_of.taken(student, use="narrow", share=0.5)
    assert note.startswith("all channels kept, ") and note.endswith(": last")
    pruned.prune_channels(ChannelPruning(share=0.5, importance="random"), {})
    assert student.layers() == pruned.layers()
    assert student.parameters() == pruned.parameters() < 0.5 * whole.parameters()
    assert student.macs() == pruned.macs()
    assert not any(same(weights(student), weights(pruned)))
    again, other = digits_of.opened(), digits_of.opened()
    digits_of.taken(again, use="narrow", share=0.5)
    digits_of.taken(other, seed=1, use="narrow", share=0.5)
    assert all(same(weights(student), weights(again)))
    assert not any(same(weights(student), weights(other)))
    assert digits_of.accuracy(student) < 0.4
    digits_of.taken(student, use="distill", epochs=6, hints=["first"])
    assert digits_of.accuracy(student) > 0.95


def test_new_weights_are_as_large_as_the_first_ones(digits_of: Digits) -> None:
    """Those of an untrained network; nothing is left of training and masks."""
    network = digits_of.opened()
    network.train([digits_of.x[:64]], digits_of.y[:64], Training(loss="cross_entropy", rate=0.1), 0)
    network.hold({"first": np.zeros_like(network.weight("first"), bool)})
    outputs = []
    for _ in range(2):
        assert network.reset_weights(3) == {}
        largest = {name: np.abs(values).max() for name, values in weights(network).items()}
        outputs.append(network.predict([digits_of.x[:5]])[0])
    assert np.array_equal(*outputs)
    glorot, fan_in = (6 / (9 * (16 + 24))) ** 0.5, (1 / (9 * 16)) ** 0.5
    assert largest["first"] == pytest.approx(glorot if digits_of.kind == "keras" else fan_in, rel=0.02)


def test_parts_of_a_module_draw_their_weights_or_are_named() -> None:
    for name in ("hard_attention", "hard_lstm", "hard_instance_norm", "depthwise", "concat"):
        network = opened(name)
        before = {key: value.clone() for key, value in network._body.flat.state_dict().items()}
        assert network.reset_weights(0) == {}
        after = network._body.flat.state_dict()
        assert all(not value.equal(before[key]) for key, value in after.items() if value.ndim > 1)
    for name, parameter in (
        ("hard_gamma", "block.gamma"),
        ("hard_norm_of_weights", "block.parts.0.parametrizations.weight.original0"),
    ):
        network = opened(name)
        before = weights(network)
        with pytest.raises(ConversionError, match=f"nothing draws new weights for {parameter}"):
            network.reset_weights(0)
        assert all(same(before, weights(network)))


def test_frozen_modules_keep_their_weights() -> None:
    network = opened("frozen")
    before = weights(network)
    assert network.reset_weights(0) == {"stem": "it is not trained"}
    assert dict(zip(before, same(before, weights(network)), strict=True)) == {
        name: name == "stem" for name in before
    }
    network.train([np.zeros((4, 1, 8, 8), "float32")], np.zeros(4, int), Training(loss="cross_entropy"), 0)
    assert np.array_equal(network.weight("stem"), before["stem"])


def test_keras_layers_that_are_not_trained_keep_their_weights(tmp_path: Path) -> None:
    """A kernel that a converter initialised with its values, or with zeros, is drawn all the same."""
    import keras
    from keras import layers

    end = keras.Input((4, 4, 3))
    scaled = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 4.0, 4.0], name="fixed")
    measured = layers.Normalization(name="measured")
    measured.adapt(np.random.default_rng(0).normal(5, 3, (50, 4, 4, 3)))
    x = layers.Conv2D(8, 3, name="frozen", trainable=False)(measured(scaled(end)))
    values = keras.initializers.Constant(np.ones((1, 1, 8, 8), "float32"))
    x = layers.Conv2D(
        8, 1, kernel_initializer=values, bias_initializer=keras.initializers.Constant(0.5), name="given"
    )(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dense(8, kernel_initializer="zeros", name="zeros")(layers.Flatten()(x))
    keras.Model(end, layers.Dense(2, name="last")(x)).save(tmp_path / "net.keras")
    network: Any = frameworks.open_network(tmp_path / "net.keras", "keras")
    model = network._model
    model.get_layer("norm").moving_mean.assign(np.ones(8))
    frozen = ["measured", "frozen"]
    before = {name: model.get_layer(name).get_weights() for name in frozen}
    report = network.prune_channels(ChannelPruning(share=0.5, protect=("frozen",)), {})
    assert [layer.layer for layer in report.layers] == ["given", "zeros"]
    assert network.reset_weights(0) == dict.fromkeys(frozen, "it is not trained")
    model = network._model
    for name in frozen:
        assert all(map(np.array_equal, model.get_layer(name).get_weights(), before[name]))
    for name in ("given", "zeros"):
        assert len(np.unique(network.weight(name))) > 8
    assert (model.get_layer("given").get_weights()[1] == 0.5).all()
    assert (model.get_layer("norm").moving_mean.numpy() == 0).all()


def test_it_comes_first() -> None:
    tables = [{"use": "finetune"}, {"use": "narrow", "share": 0.5}]
    with pytest.raises(UsageError, match="step 2 of the recipe, narrow: put it before `finetune`"):
        check_order(of_steps(tables, TrainingOptions(), 0))
    check_order(of_steps([tables[1], {"use": "distill"}], TrainingOptions(), 0))
    for table, message in (
        (
            {"use": "distill", "hints": ["a="]},
            "a hint is neither a layer nor layer=layer of the teacher: 'a='",
        ),
        ({"use": "qat", "hints": ["a"]}, "its hints count only with `soft` above 0"),
    ):
        with pytest.raises(UsageError, match=message):
            check_order(of_steps([tables[1], table], TrainingOptions(), 0))


RECIPE = """
[training]
rate = 0.005
[[steps]]
use = "narrow"
share = 0.5
[[steps]]
use = "distill"
hints = ["first", "HINT"]
epochs = 5
max_drop = 0.1
"""


def test_the_command_narrows_and_distils(here: Path) -> None:
    """A hint that no layer has ends it before anything is trained."""
    arguments = ("compress", here / "digits.keras", "--recipe", "recipe.toml", "--data", here / "train.npz")
    Path("recipe.toml").write_text(RECIPE.replace("HINT", "second=sekond"))
    ran = command_line(*arguments, "-o", "out.keras", "--json")
    assert (ran.error["code"], ran.error["message"]) == (
        "recipe",
        "`hints`: the teacher has no such layer: sekond",
    )
    assert ran.error["hint"] == "the nearest: second" and "train:" not in ran.err
    Path("recipe.toml").write_text(RECIPE.replace("HINT", "second"))
    ran = command_line(*arguments, "-o", "out.keras", "--json")
    assert ran.code == 0, ran.err
    original, narrow, distilled = ran.json["steps"]
    assert (narrow["name"], narrow["shown"]) == ("narrow", "narrow -50%")
    assert narrow["figures"]["parameters"] == distilled["figures"]["parameters"]
    assert narrow["figures"]["parameters"] < 0.5 * original["figures"]["parameters"]
    assert narrow["accuracy"]["value"] < 0.4 < 0.88 < distilled["accuracy"]["value"]
    planned = command_line(
        *arguments[:2],
        "--narrow",
        "0.5",
        "--distill",
        "--max-drop",
        "0.1",
        *arguments[4:],
        "--dry-run",
        "--json",
    )
    assert [step["use"] for step in planned.json["plan"]] == ["narrow", "distill"]
    assert [step["options"]["max_drop"] for step in planned.json["plan"]] == [None, 0.1]
