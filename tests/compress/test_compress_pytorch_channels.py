"""Channel pruning of PyTorch modules: what is left computes the same as before with the removed channels' consumers at zero."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from edgewright.compress.pytorch.network import TorchNetwork, open_network
from edgewright.errors import ConversionError, UsageError
from edgewright.nouns.compression import ChannelPruning

pytestmark = pytest.mark.slow
NETS = Path(__file__).parent / "torch_nets.py"


def opened(name: str) -> TorchNetwork:
    return open_network(Path(f"{NETS}:{name}"), "pytorch")


class Tied(NamedTuple):
    """Channels that are removed together.

    Attributes:
        vectors: parameters with one number per channel, by which those that are left are recognised.
        consumers: weight, axis, numbers of inputs per channel.
    """

    vectors: tuple[str, ...]
    consumers: tuple[tuple[str, int, int], ...]


RESIDUAL = [
    Tied(
        ("norm.weight", "norm.running_mean", "second.bias"), (("first.weight", 1, 1), ("down.weight", 1, 1))
    ),
    Tied(("inner.bias",), (("second.weight", 1, 1),)),
    Tied(("down.bias",), (("last.weight", 1, 1),)),
]
TIED = {
    "residual": RESIDUAL,
    "depthwise": [
        Tied(("stem.bias", "wise.bias", "wise_norm.running_var"), (("point.weight", 1, 1),)),
        Tied(("point.bias",), (("last.weight", 1, 1),)),
    ],
    "concat": [
        Tied(("whole.bias", "a.bias+b.bias"), (("up.weight", 0, 1),)),
        Tied(("up.bias",), (("dense.weight", 1, 64),)),
        Tied(("dense.bias",), (("last.weight", 1, 1),)),
    ],
    "squeeze": [
        Tied(("stem.bias", "norm.bias", "widen.bias"), (("reduce.weight", 1, 1), ("after.weight", 1, 1))),
        Tied(("reduce.bias",), (("widen.weight", 1, 1),)),
        Tied(("after.bias",), (("last.weight", 1, 1),)),
    ],
    "sound": [
        Tied(("a.bias",), (("b.weight", 1, 1),)),
        Tied(("b.bias",), (("mid.weight", 1, 1),)),
        Tied(("mid.bias",), (("last.weight", 1, 1),)),
    ],
}


@pytest.mark.parametrize(("seed", "round_to"), [(1, 1), (2, 1), (3, 4)])
@pytest.mark.parametrize("name", TIED)
def test_the_rest_computes_the_same(name: str, seed: int, round_to: int) -> None:
    network = opened(name)
    before = copy.deepcopy(module(network))
    wanted = ChannelPruning(share=0.4, importance="random", seed=seed, round_to=round_to)
    report = network.prune_channels(wanted, {})
    assert report.layers
    assert {layer.layer for layer in report.layers} | set(report.protected) == {
        one.name for one in network.layers()
    }
    assert report.protected.pop("last") == "its channels are an output of the network"
    assert all("too few" in why for why in report.protected.values())
    for layer in report.layers:
        assert layer.after % round_to == 0 or layer.after == layer.before
        assert layer.after >= layer.before * 0.6
    for tied in TIED[name]:
        zero_consumers(before, module(network), tied)
    for found, wanted_ in zip(answers(module(network), network), answers(before, network), strict=True):
        assert np.abs(found - wanted_).max() <= 1e-5 * max(1, np.abs(wanted_).max())


def module(network: TorchNetwork) -> Any:
    return network._body.flat.inner


def answers(net: Any, network: TorchNetwork) -> list[np.ndarray]:
    import torch

    with torch.no_grad():
        found = net(*network._body.samples(5))
    return [one.numpy() for one in (found if isinstance(found, tuple) else (found,))]


def zero_consumers(before: Any, after: Any, tied: Tied) -> None:
    """Finds the channels that are gone in all vectors, which must agree, and zeroes the weights that take them."""
    import torch

    gone = None
    for name in tied.vectors:
        old, new = (
            torch.cat([net.state_dict()[part] for part in name.split("+")]) for net in (before, after)
        )
        assert len(old.unique()) == len(old)
        missing = [at for at, value in enumerate(old) if value not in new]
        assert len(missing) == len(old) - len(new)
        assert gone in (None, missing)
        gone = missing
    for name, axis, inputs in tied.consumers:
        columns = [channel * inputs + at for channel in gone or () for at in range(inputs)]
        before.get_parameter(name).data.index_fill_(axis, torch.tensor(columns, dtype=torch.int64), 0)


HARD = {
    "layer_norm": "normalises several channels",
    "group_norm": "normalises several channels",
    "softmax": "depends on how many",
    "mean": "depends on how many",
    "length": "depends on how many",
    "shuffle": "",
    "gate": None,  # the channels before the gate are free, those that it takes are not
    "grouped": "is a grouped convolution",
    "multiplied": "is a grouped convolution",
    "view": "does not run with fewer channels",
    "split": "depend on each other",
    "permuted": "does not run with fewer channels",
    "attention": "attention",
    "lstm": "recurrent",
    "gru": "cannot follow",
    "gamma": "parameter block.gamma",
    "twice": "is used 2 times",
    "norm_of_weights": "are computed",
    "instance_norm": "",
    "square": None,
    "gram": "depends on how many",
}


@pytest.mark.parametrize("name", HARD)
def test_what_cannot_be_cut_is_protected_with_the_reason(name: str) -> None:
    """Whatever lies around it is cut, and all that stays computes the same."""
    network = opened(f"hard_{name}")
    before = copy.deepcopy(module(network))
    report = network.prune_channels(ChannelPruning(share=0.5), {})
    cut = {layer.layer for layer in report.layers}
    assert {"after", "free"} <= cut
    assert ("before" in cut) == (HARD[name] is None)
    if HARD[name] is not None:
        assert HARD[name] in report.protected["before"]
        chain = [*sorted(cut - {"after", "free"}), "after", "free", "last"]
        for layer, next_ in itertools.pairwise(chain):
            zero_consumers(before, module(network), Tied((f"{layer}.bias",), ((f"{next_}.weight", 1, 1),)))
        np.testing.assert_allclose(
            answers(module(network), network)[0], answers(before, network)[0], 1e-4, 1e-5
        )


def test_protected_layers_keep_their_channels_and_with_them_their_group() -> None:
    network = opened("residual")
    report = network.prune_channels(ChannelPruning(share=0.5, protect=("second",)), {})
    assert [layer.layer for layer in report.layers] == ["first", "down"]
    assert report.protected["second"] == report.protected["stem"] == "the recipe protects second"
    with pytest.raises(UsageError, match="no such layer: nowhere"):
        network.prune_channels(ChannelPruning(share=0.5, protect=("nowhere",)), {})


def test_a_network_of_which_nothing_can_go_is_as_before() -> None:
    network = opened("stubborn")
    weights = {name: tensor.clone() for name, tensor in module(network).state_dict().items()}
    with pytest.raises(
        ConversionError, match=r"no channels can be removed; conv: .*torch_nets.py:\d+"
    ) as caught:
        network.prune_channels(ChannelPruning(share=0.5), {})
    assert "around conv" in caught.value.hint
    assert all((weights[name] == tensor).all() for name, tensor in module(network).state_dict().items())


def test_the_least_important_channels_go() -> None:
    """By each importance, for the very channels that were made unimportant."""
    for importance in ("l1", "l2", "taylor", "activation"):
        network = opened("sound")
        weights = network.weight("a")
        weights[[2, 5, 7]] *= 1e-3
        network.set_weight("a", weights)
        with_bias = module(network).a.bias.data
        with_bias[[2, 5, 7]] = 0
        left = np.delete(network.weight("a"), [2, 5, 7], 0)
        data = np.random.default_rng(0).normal(size=(40, 4, 20)).astype("float32")
        scores = {}
        if importance in ("taylor", "activation"):
            scores = network.importance([data], np.arange(40) % 2, "cross_entropy", importance)
        network.prune_channels(ChannelPruning(share=0.25, importance=importance, protect=("b",)), scores)
        np.testing.assert_array_equal(network.weight("a"), left)


def test_masks_lose_the_same_channels() -> None:
    network = opened("residual")
    random = np.random.default_rng(0)
    masks = {layer.name: random.random(layer.shape) < 0.5 for layer in network.layers()}
    network.hold(masks)
    zeros = {name: network.weight(name) == 0 for name in masks}
    assert all((zeros[name] == ~masks[name]).all() for name in masks)
    network.prune_channels(ChannelPruning(share=0.5, importance="random"), {})
    for layer in network.layers():
        weights = network.weight(layer.name)
        assert ((weights == 0) == ~network._masks[layer.name].numpy()).all()
        network.set_weight(layer.name, np.ones_like(weights))
        assert ((network.weight(layer.name) == 0) == (weights == 0)).all()


@pytest.mark.parametrize("name", TIED)
def test_counts(name: str, expected: Callable[[Any, Any], int]) -> None:
    network = opened(name)
    assert network.macs() == expected(module(network), network._body.samples(1))
    network.prune_channels(ChannelPruning(share=0.5), {})
    assert network.macs() == expected(module(network), network._body.samples(1))
    assert network.parameters() == sum(len(one.flatten()) for one in module(network).parameters())


@pytest.fixture
def expected() -> Callable[[Any, Any], int]:
    """Counts multiply-adds by the shapes that pass through the layers."""
    import torch

    def count(net: Any, example: Any) -> int:
        total = 0

        def note(layer: Any, given: Any, made: Any) -> None:
            nonlocal total
            positions = (given[0] if getattr(layer, "transposed", False) else made).numel()
            of = layer.weight.shape[1:] if layer.weight.ndim > 2 else layer.weight.shape[1:2]
            total += positions * int(np.prod(of))

        layers = [
            one for one in net.modules() if isinstance(one, torch.nn.Linear | torch.nn.modules.conv._ConvNd)
        ]
        hooks = [layer.register_forward_hook(note) for layer in layers]
        net(*example)
        for hook in hooks:
            hook.remove()
        return total

    return count
