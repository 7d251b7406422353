"""Removing channels from Keras models: the smaller model computes what the model does without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compress.keras import channel_removal, weighted_layers
from edgewright.compress.keras.network import KerasNetwork, open_network
from edgewright.errors import UsageError
from edgewright.nouns.compression import ChannelPruning, ChannelReport

TOLERANCE = 1e-5


def opened(model: Any, folder: Path) -> KerasNetwork:
    """The network of a saved model."""
    model.save(folder / "model.keras")
    return open_network(folder / "model.keras")


def samples(network: KerasNetwork, seed: int = 0) -> list[np.ndarray]:
    """Three samples of each input."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(3, *spec.shape[1:])).astype("float32") for spec in network.inputs]


def deafen(network: KerasNetwork, removal: channel_removal.Removal) -> None:
    """Sets the weights to zero with which layers read channels that are to go. What goes is made all the same."""
    for name, layer in weighted_layers.weighted(network._model).items():
        form, weights = weighted_layers.described(layer), layer.get_weights()
        main = next(at for at, one in enumerate(layer.weights) if one is weighted_layers.main_weights(layer))
        for cut in removal.trace.cuts:
            if (cut.layer, cut.weight) == (name, main) and cut.axis == form.inputs:
                stay = np.moveaxis(weights[main], form.inputs, -1) * removal.stay(cut.ids)
                weights[main] = np.moveaxis(stay, -1, form.inputs)
        layer.set_weights(weights)


def residual() -> Any:
    """See `keras_graphs.residual`."""
    import keras_graphs

    return keras_graphs.residual()


def check_same(model: Any, wanted: ChannelPruning, folder: Path) -> ChannelReport:
    """Prunes the model, and compares the saved result with the model that does not read what was removed.

    Both answer from graphs: called eagerly, Keras adds the bias of a convolution with channels first along the wrong axis if that has as
    many places as there are filters.
    """
    whole, network = opened(model, folder), opened(model, folder)
    inputs = samples(whole, wanted.seed)
    deafen(whole, channel_removal.plan(whole._model, wanted, {}))
    report = network.prune_channels(wanted, {})
    network.save(folder / "pruned.keras")
    again = open_network(folder / "pruned.keras")
    assert again.inputs == whole.inputs
    for one, two in zip(whole.predict(inputs), again.predict(inputs), strict=True):
        assert one.shape == two.shape
        assert np.abs(one - two).max() <= TOLERANCE * max(1, np.abs(one).max())
    shapes = {layer.name: layer for layer in again.layers()}
    for changed in report.layers:
        described = shapes[changed.layer]
        if described.kind != "depthwise":
            assert described.shape[described.outputs] == changed.after < changed.before
    assert bool(report.layers) == (again.parameters() < whole.parameters())
    return report


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs_compute_the_same_without_the_removed_channels(seed: int, tmp_path: Path) -> None:
    from keras_graphs import RandomGraph

    rng = np.random.default_rng(seed)
    wanted = ChannelPruning(
        share=float(rng.choice([0.25, 0.5, 0.8])),
        importance=str(rng.choice(["l1", "l2", "random"])),
        round_to=int(rng.choice([1, 2])),
        seed=seed,
    )
    check_same(RandomGraph(seed).model(), wanted, tmp_path)


def test_tied_layers_lose_the_same_channels(tmp_path: Path) -> None:
    report = check_same(residual(), ChannelPruning(share=0.5), tmp_path)
    found = {one.layer: (one.before, one.after) for one in report.layers}
    assert found == {
        "first": (8, 4),
        "second": (8, 4),
        "depthwise": (16, 8),
        "third": (6, 3),
        "hidden": (10, 5),
    }
    assert report.protected == {"scores": "they are an output of the model"}


def test_the_least_important_channels_go(tmp_path: Path) -> None:
    model = residual()
    third = model.get_layer("third")
    kernel, bias = third.get_weights()
    sizes = np.array([5, 0.1, 4, 0.2, 3, 0.3])
    third.set_weights([kernel / np.abs(kernel).sum((0, 1, 2)) * sizes, bias])
    network = opened(model, tmp_path)
    network.prune_channels(ChannelPruning(share=0.5, importance="l1"), {})
    left = np.abs(network.weight("third")).sum((0, 1, 2))
    # its inputs are fewer too, so that only the order can be compared
    assert len(left) == 3 and left.min() > 0.5


def test_what_stays_is_rounded_up_and_never_nothing(tmp_path: Path) -> None:
    def after(**settings: Any) -> dict[str, int]:
        report = opened(residual(), tmp_path).prune_channels(ChannelPruning(**settings), {})
        return {one.layer: one.after for one in report.layers}

    assert after(share=0.5, round_to=4) == {"first": 4, "second": 4, "depthwise": 8, "third": 4, "hidden": 8}
    assert after(share=0.99) == {"first": 1, "second": 1, "depthwise": 2, "third": 1, "hidden": 1}
    assert after(share=0.0) == {}


def test_a_protected_layer_protects_those_tied_to_it(tmp_path: Path) -> None:
    network = opened(residual(), tmp_path)
    report = network.prune_channels(ChannelPruning(share=0.5, protect=("second",)), {})
    assert [one.layer for one in report.layers] == ["third", "hidden"]
    assert set(report.protected) == {"first", "second", "depthwise", "scores"}
    assert report.protected["first"] == "second is protected"
    with pytest.raises(UsageError, match="no such layer: nowhere"):
        network.prune_channels(ChannelPruning(share=0.5, protect=("nowhere",)), {})


def test_layers_that_mix_channels_protect_them_and_are_named(tmp_path: Path) -> None:
    import keras
    from keras import layers

    end = keras.Input((6, 6, 4))
    first = layers.Conv2D(8, 3, padding="same", name="first")(end)
    x = layers.LayerNormalization(name="over_channels")(first)
    x = layers.Conv2D(8, 3, groups=2, name="grouped")(layers.Conv2D(4, 1, name="second")(x))
    twice = layers.Conv2D(8, 1, name="twice")
    x = layers.Conv2D(6, 1, name="third")(twice(twice(x)))
    x = layers.LSTM(5, name="recurrent")(layers.Reshape((16, 6))(x))
    report = opened(keras.Model(end, layers.Dense(2, name="last")(x)), tmp_path).prune_channels(
        ChannelPruning(share=0.5), {}
    )
    assert report.layers == ()
    assert report.protected == {
        "first": "over_channels (LayerNormalization) reads them and may mix channels",
        "second": "grouped (Conv2D) reads them and is a grouped convolution",
        "grouped": "it is a grouped convolution",
        "twice": "it is used more than once",
        "third": "recurrent (LSTM) reads them and may mix channels",
        "last": "they are an output of the model",
    }


def test_names_structure_and_precision_stay(tmp_path: Path) -> None:
    import keras
    from keras import layers

    ends = {"b": keras.Input((4, 4, 3), name="b"), "a": keras.Input((4, 4, 3), name="a")}
    x = layers.Conv2D(8, 3, name="joined", dtype="mixed_float16")(
        layers.Concatenate()([ends["b"], ends["a"]])
    )
    x = layers.GlobalAveragePooling2D()(x)
    outputs = {"yes": layers.Dense(1, name="yes")(x), "no": layers.Dense(1, name="no")(x)}
    network = opened(keras.Model(ends, outputs, name="two_ends"), tmp_path)
    network.prune_channels(ChannelPruning(share=0.5), {})
    network.save(tmp_path / "pruned.keras")
    model = keras.models.load_model(tmp_path / "pruned.keras")
    assert model.name == "two_ends" and set(model.input) == {"a", "b"} and set(model.output) == {"yes", "no"}
    assert (
        model.get_layer("joined").dtype_policy.name == "mixed_float16"
        and model.get_layer("joined").filters == 4
    )
    assert [spec.name for spec in network.inputs] == ["a", "b"]


@pytest.mark.parametrize("kind", ["taylor", "activation"])
def test_importance_is_measured_with_data(kind: str, tmp_path: Path) -> None:
    """A channel that nothing reads has no slope; one that is always zero has no activation."""
    model = residual()
    for name in ("third", "hidden"):
        kernel, bias = model.get_layer(name).get_weights()
        if name == "third":
            kernel[..., 2], bias[2] = 0, 0
        else:  # 6 channels at each of the places
            kernel.reshape(-1, 6, kernel.shape[-1])[:, 2] = 0
        model.get_layer(name).set_weights([kernel, bias])
    network = opened(model, tmp_path)
    inputs = [np.random.default_rng(0).normal(size=(40, 6, 6, 3)).astype("float32")]
    scores = network.importance(inputs, np.arange(40) % 3, "cross_entropy", kind)
    for layer in network.layers():
        shape = scores[layer.name].shape
        outputs = 16 if layer.name == "depthwise" else layer.shape[layer.outputs]
        assert shape == (layer.shape if kind == "taylor" else (outputs,))
    per_channel = scores["third"].reshape(-1, 6).sum(axis=0)
    assert per_channel[2] == 0 and np.delete(per_channel, 2).min() > 0
    before = network.weight("third")
    report = network.prune_channels(ChannelPruning(share=0.2, importance=kind), scores)
    assert {one.layer: one.after for one in report.layers}["third"] == 5
    kept = [at for at in range(6) if at != 2]
    rows = [
        at for at in range(16) if any(np.isin(network.weight("third")[0, 0, :, 0], before[0, 0, at, kept[0]]))
    ]
    assert np.array_equal(network.weight("third"), before[:, :, rows][..., kept])


def test_random_choice_follows_its_seed(tmp_path: Path) -> None:
    def left(seed: int) -> np.ndarray:
        network = opened(model, tmp_path)
        network.prune_channels(ChannelPruning(share=0.5, importance="random", seed=seed), {})
        return network.weight("first")

    model = residual()
    assert np.array_equal(left(1), left(1)) and not np.array_equal(left(1), left(2))


def test_masks_stay_in_force_for_what_is_left(tmp_path: Path) -> None:
    network = opened(residual(), tmp_path)
    rng = np.random.default_rng(0)
    masks = {layer.name: rng.random(layer.shape) < 0.5 for layer in network.layers()}
    network.hold(masks)
    network.prune_channels(ChannelPruning(share=0.5), {})
    zeros = {layer.name: network.weight(layer.name) == 0 for layer in network.layers()}
    network.set_weight("third", np.ones_like(network.weight("third")))
    assert np.array_equal(network.weight("third") == 0, zeros["third"])
    assert 0.3 < zeros["third"].mean() < 0.7


def test_multiplications_are_counted(tmp_path: Path) -> None:
    network = opened(residual(), tmp_path)
    convolutions = 36 * 9 * 3 * 8 + 36 * 9 * 8 * 8 + 16 * 9 * 16 + 4 * 16 * 6
    assert network.macs() == convolutions + 24 * 10 + 10 * 3
    network.prune_channels(ChannelPruning(share=0.5), {})
    convolutions = 36 * 9 * 3 * 4 + 36 * 9 * 4 * 4 + 16 * 9 * 8 + 4 * 8 * 3
    assert network.macs() == convolutions + 12 * 5 + 5 * 3
    assert network.parameters() == sum(one.size for one in network._model.get_weights())
