"""Training of PyTorch networks: losses, masks, distillation, checkpoints in another process, and real data."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compress.pytorch.network import TorchNetwork, open_network
from edgewright.errors import ConversionError, DataError, ModelError
from edgewright.nouns.compression import ChannelPruning, Training

pytestmark = pytest.mark.slow
NETS = Path(__file__).parent / "torch_nets.py"
Data = tuple[list[np.ndarray], np.ndarray]
CROSS = Training(loss="cross_entropy", rate=1e-2)


def opened(name: str) -> TorchNetwork:
    return open_network(Path(f"{NETS}:{name}"), "pytorch")


@pytest.fixture(scope="module")
def digits() -> Data:
    """1797 images of 8 x 8 pixels, in an order without meaning."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    return [(found.images[order, None] / 16).astype("float32")], found.target[order]


def first(data: Data, count: int) -> Data:
    return [array[:count] for array in data[0]], data[1][:count]


def last(data: Data, count: int) -> Data:
    return [array[-count:] for array in data[0]], data[1][-count:]


def accuracy(network: TorchNetwork, data: Data) -> float:
    return float((network.predict(data[0])[0].argmax(1) == data[1]).mean())


def linear_data(outputs: int = 1) -> tuple[list[np.ndarray], np.ndarray]:
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 3)).astype("float32")
    return [x], x @ random.normal(size=(3, outputs)).astype("float32")


def test_digits_are_learnt_pruned_and_learnt_again(digits: Data) -> None:
    """Half of all channels and half of the weights that stay: accuracy comes back."""
    network = opened("fresh_residual")
    losses = [network.train(*first(digits, 1200), CROSS, epoch) for epoch in range(4)]
    assert losses[-1] < losses[0] / 3
    assert accuracy(network, last(digits, 500)) > 0.93
    macs, parameters = network.macs(), network.parameters()
    scores = network.importance(*first(digits, 300), "cross_entropy", "taylor")
    report = network.prune_channels(ChannelPruning(share=0.5, importance="taylor"), scores)
    assert [layer.after / layer.before for layer in report.layers] == [0.5] * 4
    assert network.macs() < macs / 3
    assert network.parameters() < parameters / 3
    masks = {}
    for layer in network.layers():
        weights = np.abs(network.weight(layer.name))
        masks[layer.name] = weights >= np.median(weights)
    network.hold(masks)
    for epoch in range(4, 8):
        network.train(*first(digits, 1200), CROSS, epoch)
    assert all((network.weight(name)[~mask] == 0).all() for name, mask in masks.items())
    assert all((network.weight(name)[mask] != 0).any() for name, mask in masks.items())
    assert accuracy(network, last(digits, 500)) > 0.9
    network.hold({})
    network.train(*first(digits, 300), CROSS, 8)
    assert all((network.weight(name)[~mask] != 0).any() for name, mask in masks.items())


def test_depthwise_convolutions_learn_and_lose_channels(digits: Data) -> None:
    """In a network that ends in a softmax; the images are stretched to a spectrogram's shape."""
    stretched = np.pad(digits[0][0][:, 0].repeat(6, 1), [(0, 0), (0, 1), (1, 1)])[..., None]
    data = [stretched], digits[1]
    network = opened("fresh_depthwise")
    assert network.probabilities
    for epoch, rate in enumerate([1e-2] * 4 + [2e-3] * 2):
        network.train(*first(data, 800), Training(loss="cross_entropy", rate=rate), epoch)
    assert accuracy(network, last(data, 500)) > 0.75
    scores = network.importance(*first(data, 200), "cross_entropy", "activation")
    report = network.prune_channels(ChannelPruning(share=0.25, importance="activation"), scores)
    assert [layer.layer for layer in report.layers] == ["stem", "wise", "point"]
    for epoch in range(6, 8):
        network.train(*first(data, 800), Training(loss="cross_entropy", rate=3e-3), epoch)
    assert accuracy(network, last(data, 500)) > 0.75


def test_an_epoch_is_the_same_again(digits: Data) -> None:
    """The order and dropout come from the seed and the epoch, whatever ran before."""
    weights = []
    for seed, epoch in ((0, 0), (0, 0), (1, 0), (0, 1)):
        network = opened("dropping")
        network.predict(digits[0])
        network.train(*first(digits, 200), Training(loss="cross_entropy", seed=seed), epoch)
        weights.append(network.weight("3"))
    assert (weights[0] == weights[1]).all()
    assert (weights[0] != weights[2]).any()
    assert (weights[0] != weights[3]).any()


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("name", ["sigmoid", "logit"])
def test_binary_labels(name: str, optimiser: str) -> None:
    network = opened(name)
    assert network.probabilities == (name == "sigmoid")
    inputs, values = linear_data()
    training = Training(loss="binary_cross_entropy", rate=0.05, optimiser=optimiser)
    for labels in (values > 0, (values > 0).astype(int)[:, 0]):
        losses = [network.train(inputs, labels, training, epoch) for epoch in range(8)]
    assert losses[-1] < 0.2
    found = network.predict(inputs)[0] > (0.5 if network.probabilities else 0)
    assert (found == (values > 0)).mean() > 0.95


def test_the_loss_of_probabilities_is_that_of_logits() -> None:
    inputs, values = linear_data()
    same = [opened("sigmoid"), opened("logit")]
    training = Training(loss="binary_cross_entropy")
    losses = [network.train(inputs, values > 0, training, 0) for network in same]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    np.testing.assert_allclose(same[0].weight("0"), same[1].weight("0"), rtol=1e-3)


def test_penalties() -> None:
    """They are in the loss, and L1 leaves small weights only."""
    inputs, values = linear_data(2)
    network = opened("two_numbers")
    weights = network.weight("0")
    plain = Training(loss="mse", rate=0.0)
    loss = network.train(inputs, values, plain, 0)
    for l1, l2 in ((0.5, 0.0), (0.0, 0.25)):
        more = network.train(inputs, values, Training(loss="mse", rate=0.0, l1=l1, l2=l2), 0)
        assert more == pytest.approx(loss + l1 * np.abs(weights).sum() + l2 * (weights**2).sum(), rel=1e-4)
    for epoch in range(20):
        network.train(inputs, values, Training(loss="mse", rate=0.05, l1=10.0), epoch)
    assert np.abs(network.weight("0")).max() < 0.2


def test_a_network_learns_from_its_teacher_alone(digits: Data) -> None:
    teacher, student = opened("fresh_residual"), opened("fresh_residual")
    for epoch in range(4):
        teacher.train(*first(digits, 1000), CROSS, epoch)
    student.prune_channels(ChannelPruning(share=0.5), {})
    training = Training(loss="cross_entropy", rate=1e-2, soft=1.0, temperature=3.0)
    nothing = np.zeros(0, "int64")
    images = first(digits, 1000)[0]
    losses = [student.train(images, nothing, training, epoch, teacher) for epoch in range(5)]
    assert losses[-1] < losses[0] / 3
    assert accuracy(student, last(digits, 500)) > 0.7


def test_distillation_is_the_formula() -> None:
    """T^2 * KL, and shares of both terms, against numpy; probabilities and logits teach the same."""
    inputs, values = linear_data()
    labels = (values[:, 0] > 0).astype(int)
    for teacher in (opened("three_logits"), opened("three_probabilities")):
        student = opened("other_three")
        training = Training(loss="cross_entropy", rate=0.0, temperature=2.5, soft=0.3, batch=300)
        loss = student.train(inputs, labels, training, 0, teacher)
        ours, theirs = (
            log_softmax(network.predict(inputs)[0]) for network in (student, opened("three_logits"))
        )
        hard = -ours[np.arange(300), labels].mean()
        p, q = log_softmax(theirs / 2.5), log_softmax(ours / 2.5)
        divergence = (np.exp(p) * (p - q)).sum(1).mean()
        assert loss == pytest.approx(0.7 * hard + 0.3 * 2.5**2 * divergence, rel=1e-4)


def log_softmax(values: np.ndarray) -> np.ndarray:
    values = values.astype("float64")
    return values - np.log(np.exp(values).sum(1, keepdims=True))


def test_taylor_is_gradient_times_weight() -> None:
    """For a linear layer and squared differences, whose gradient is known."""
    inputs, values = linear_data(2)
    network = opened("two_numbers")
    x, weights, found = inputs[0], network.weight("0"), network.predict(inputs)[0]
    wanted = sum(
        np.abs((found - values)[at : at + 32].T @ x[at : at + 32] / found[at : at + 32].size * 2 * weights)
        for at in range(0, 300, 32)
    )
    np.testing.assert_allclose(network.importance(inputs, values, "mse", "taylor")["0"], wanted, 1e-3, 1e-6)
    mean = network.importance(inputs, np.zeros(0), "mse", "activation")["0"]
    np.testing.assert_allclose(mean, np.abs(found).mean(0), rtol=1e-4)


def test_a_loss_that_is_not_finite_ends_training(digits: Data) -> None:
    network = opened("residual")
    training = Training(loss="cross_entropy", optimiser="sgd", rate=1e30)
    with pytest.raises(ConversionError, match="training diverged in epoch 8: the loss is") as caught:
        network.train(*digits, training, 7)
    assert "learning rate below 1e+30" in caught.value.hint
    assert caught.value.code == "training-diverged"


@pytest.mark.parametrize(
    ("loss", "labels", "said"),
    [
        ("cross_entropy", np.full(300, 3), "class numbers 3 to 3 do not fit an output of shape (3,)"),
        ("cross_entropy", np.zeros(300), "class numbers, one integer per sample: float64"),
        ("cross_entropy", np.zeros(299, int), "299 labels for 300 samples"),
        ("binary_cross_entropy", np.full((300, 3), 2), "labels of 0 and 1"),
        ("mse", np.zeros((300, 2)), "labels of shape (2,) do not fit an output of shape (3,)"),
    ],
)
def test_labels_that_do_not_fit(loss: str, labels: np.ndarray, said: str) -> None:
    network = opened("three_logits")
    with pytest.raises(DataError) as caught:
        network.train(linear_data()[0], labels, Training(loss=loss), 0)
    assert said in str(caught.value)


def test_data_that_do_not_fit() -> None:
    network = opened("three_logits")
    for inputs, said in (
        ([np.zeros((5, 4), "float32")], r"shape \(4,\) do not fit input"),
        ([], "1 inputs but the data 0"),
        ([np.zeros((0, 3), "float32")], "no samples"),
    ):
        with pytest.raises(DataError, match=said):
            network.predict(inputs)


def test_a_last_batch_of_one_sample_joins_the_one_before(digits: Data) -> None:
    """Batch normalisation needs two."""
    opened("flat_norm").train(*first(digits, 65), CROSS, 0)


def test_a_module_with_its_batch_built_in_is_refused() -> None:
    with pytest.raises(ModelError, match="does not run on a batch of samples: RuntimeError") as caught:
        opened("baked")
    assert "x.flatten(1)" in caught.value.hint
    with pytest.raises(ModelError, match="depends on the others in its batch"):
        opened("across")


STEPS = """
import sys, numpy as np
from pathlib import Path
from edgewright.compress.pytorch.network import open_network
from edgewright.nouns.compression import ChannelPruning, Training
source, data, folder, after = map(Path, sys.argv[1:])
network = open_network(source, "pytorch")
network.restore(folder)
with np.load(data) as found:
    loss = network.train([found["x"]], found["y"], Training(loss="cross_entropy", rate=1e-2), 2)
np.savez(after, loss=loss, **{layer.name: network.weight(layer.name) for layer in network.layers()})
"""


def test_training_goes_on_in_another_process(digits: Data, tmp_path: Path) -> None:
    """As if it had not stopped: weights, sizes, masks and the optimiser's state come back."""
    network = opened("residual")
    inputs, labels = first(digits, 300)
    network.prune_channels(ChannelPruning(share=0.5, importance="random"), {})
    random = np.random.default_rng(0)
    network.hold({layer.name: random.random(layer.shape) < 0.7 for layer in network.layers()})
    network.train(inputs, labels, CROSS, 1)
    network.checkpoint(tmp_path / "kept")
    np.savez(tmp_path / "data.npz", x=inputs[0], y=labels)
    arguments = [f"{NETS}:residual", tmp_path / "data.npz", tmp_path / "kept", tmp_path / "after.npz"]
    subprocess.run([sys.executable, "-c", STEPS, *map(str, arguments)], check=True)
    loss = network.train(inputs, labels, CROSS, 2)
    with np.load(tmp_path / "after.npz") as after:
        assert float(after["loss"]) == pytest.approx(loss, rel=1e-5)
        for layer in network.layers():
            np.testing.assert_allclose(after[layer.name], network.weight(layer.name), 1e-4, 1e-6)
            assert (after[layer.name] == 0).mean() > 0.2


def test_a_checkpoint_undoes_pruning_and_divergence(digits: Data, tmp_path: Path) -> None:
    network = opened("residual")
    network.train(*first(digits, 200), CROSS, 0)
    before, weights = network.predict(digits[0])[0], network.weight("first")
    network.checkpoint(tmp_path / "kept")
    network.prune_channels(ChannelPruning(share=0.5), {})
    network.hold({"first": np.zeros_like(network.weight("first"), bool)})
    with pytest.raises(ConversionError):
        network.train(*digits, Training(loss="cross_entropy", rate=1e30, optimiser="sgd"), 1)
    network.restore(tmp_path / "kept")
    np.testing.assert_array_equal(network.predict(digits[0])[0], before)
    network.train(*first(digits, 200), Training(loss="cross_entropy", rate=0.0), 1)
    np.testing.assert_array_equal(network.weight("first"), weights)
    with pytest.raises(ConversionError, match="belongs to another network"):
        opened("squeeze").restore(tmp_path / "kept")
    with pytest.raises(ConversionError, match="cannot read the checkpoint"):
        network.restore(tmp_path / "nowhere")


def test_frozen_weights_stay(digits: Data) -> None:
    """Those that the user's function froze, also after channel pruning."""
    network = opened("frozen")
    network.prune_channels(ChannelPruning(share=0.5), {})
    stem, first_ = network.weight("stem"), network.weight("first")
    network.train(*first(digits, 100), CROSS, 0)
    np.testing.assert_array_equal(network.weight("stem"), stem)
    assert (network.weight("first") != first_).any()
    assert set(network.importance(*first(digits, 50), "cross_entropy", "taylor")) >= {"stem", "first"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sigmoid", True),
        ("three_probabilities", True),
        ("depthwise", True),
        ("logit", False),
        ("rectified", False),
    ],
)
def test_probabilities_are_recognised(name: str, expected: bool) -> None:
    assert opened(name).probabilities == expected


def test_nothing_is_unpickled(tmp_path: Path, evil: Callable[[Path], Any]) -> None:
    (tmp_path / "kept").mkdir()
    evil(tmp_path / "kept" / "network.pt")
    with pytest.raises(ConversionError, match="cannot read the checkpoint"):
        opened("logit").restore(tmp_path / "kept")
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def evil(tmp_path: Path) -> Callable[[Path], Any]:
    """Writes a file that runs code when it is unpickled."""
    import torch

    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "ran",)

    return lambda file: torch.save({"tensors": Evil()}, file)
