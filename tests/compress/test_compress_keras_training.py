"""Training Keras networks: losses, masks, distillation, and checkpoints that other processes continue from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compress.keras.network import KerasNetwork, open_network
from edgewright.errors import Code, ConversionError, DataError
from edgewright.nouns.compression import ChannelPruning, Training

RNG = np.random.default_rng(0)
PICTURES = RNG.normal(size=(90, 6, 6, 3)).astype("float32")
CLASSES = (PICTURES.mean(axis=(1, 2)) * [1, 2, 3]).argmax(axis=1)
CROSS = Training(loss="cross_entropy", rate=0.01, batch=32)


def classifier(folder: Path, activation: str | None = "softmax", outputs: int = 3, seed: int = 1) -> Path:
    """A saved model with batch normalisation and dropout."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    end = keras.Input((6, 6, 3), name="picture")
    x = layers.Conv2D(8, 3, use_bias=False, name="first")(end)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Dropout(0.2)(layers.Flatten()(layers.Conv2D(8, 3, name="second", activation="relu")(x)))
    path = folder / f"{activation}_{outputs}_{seed}.keras"
    keras.Model(end, layers.Dense(outputs, activation=activation, name="scores")(x)).save(path)
    return path


def trained(network: KerasNetwork, epochs: int = 4, labels: Any = CLASSES, **settings: Any) -> list[float]:
    """The losses of some epochs."""
    training = Training(**{"loss": "cross_entropy", "rate": 0.01, **settings})
    return [network.train([PICTURES], labels, training, epoch) for epoch in range(epochs)]


@pytest.mark.parametrize(("activation", "optimiser"), [("softmax", "adam"), (None, "sgd")])
def test_training_learns(activation: str | None, optimiser: str, tmp_path: Path) -> None:
    network = open_network(classifier(tmp_path, activation))
    assert network.probabilities == (activation is not None)
    losses = trained(network, 8, optimiser=optimiser)
    assert losses[0] == pytest.approx(np.log(3), abs=0.6)
    assert losses[-1] < 0.7 * losses[0]
    assert (network.predict([PICTURES], batch=40)[0].argmax(axis=1) == CLASSES).mean() > 0.6


@pytest.mark.slow
def test_logits_and_probabilities_train_alike(tmp_path: Path) -> None:
    """A softmax or sigmoid at the end changes nothing of the loss or of the weights."""
    pairs = [("softmax", 3, "cross_entropy", CLASSES), ("sigmoid", 1, "binary_cross_entropy", CLASSES > 0)]
    for activation, outputs, loss, labels in pairs:
        ended = open_network(classifier(tmp_path, activation, outputs))
        plain = open_network(classifier(tmp_path, None, outputs))
        one, two = (trained(each, 3, labels, loss=loss) for each in (ended, plain))
        assert one == pytest.approx(two, rel=1e-3)
        assert np.allclose(ended.weight("second"), plain.weight("second"), atol=2e-3)


@pytest.mark.parametrize(("outputs", "shape"), [(1, (90,)), (1, (90, 1)), (2, (90, 2))])
def test_several_probabilities_and_numbers_are_learnt(
    outputs: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    wanted = np.stack([CLASSES > 0, CLASSES > 1], axis=1)[:, :outputs].reshape(shape)
    for loss, activation in (("binary_cross_entropy", "sigmoid"), ("mse", None)):
        losses = trained(open_network(classifier(tmp_path, activation, outputs)), 6, wanted, loss=loss)
        assert losses[-1] < 0.8 * losses[0]


@pytest.mark.slow
def test_training_is_the_same_again_and_another_seed_trains_otherwise(tmp_path: Path) -> None:
    path = classifier(tmp_path)
    one, two, other = (trained(open_network(path), 2, seed=seed) for seed in (5, 5, 6))
    assert one == pytest.approx(two, rel=1e-6)
    assert one != pytest.approx(other, rel=1e-6)


def test_masked_weights_stay_zero(tmp_path: Path) -> None:
    network = open_network(classifier(tmp_path))
    before = network.weight("first")
    mask = np.random.default_rng(0).random(before.shape) < 0.5
    network.hold({"first": mask})
    assert np.array_equal(network.weight("first"), before * mask)
    trained(network, 2, optimiser="sgd")
    after = network.weight("first")
    assert np.array_equal(after != 0, mask) and not np.allclose(after, before * mask)
    network.save(tmp_path / "masked.keras")
    assert np.array_equal(open_network(tmp_path / "masked.keras").weight("first"), after)
    network.hold({})
    trained(network, 1)
    assert (network.weight("first") != 0).all()


@pytest.mark.slow
def test_penalties_shrink_weights(tmp_path: Path) -> None:
    path = classifier(tmp_path)
    sizes = {}
    for name in ("none", "l1", "l2"):
        network = open_network(path)
        first = trained(network, 5, **({} if name == "none" else {name: 0.05}))[0]
        sizes[name] = (np.abs(network.weight("second")).sum(), first)
    assert sizes["l1"][0] < 0.7 * sizes["none"][0] and sizes["l2"][0] < 0.9 * sizes["none"][0]
    assert sizes["l1"][1] > sizes["none"][1] < sizes["l2"][1]


@pytest.mark.slow
def test_a_student_learns_from_its_teacher_alone(tmp_path: Path) -> None:
    teacher = open_network(classifier(tmp_path, "softmax", seed=1))
    trained(teacher, 10)
    student = open_network(classifier(tmp_path, None, seed=2))
    training = Training(loss="cross_entropy", rate=0.01, soft=1.0, temperature=2.0)
    losses = [student.train([PICTURES], np.zeros(0), training, epoch, teacher) for epoch in range(15)]
    assert losses[-1] < 0.3 * losses[0]
    agreed = student.predict([PICTURES])[0].argmax(1) == teacher.predict([PICTURES])[0].argmax(1)
    assert agreed.mean() > 0.85


def test_distillation_has_the_value_of_its_formula(tmp_path: Path) -> None:
    """With a learning rate of 0 and one batch, the loss is that of the formula, in training mode without dropout."""
    import keras
    from keras import layers

    def network(seed: int, activation: str | None) -> KerasNetwork:
        keras.utils.set_random_seed(seed)
        end = keras.Input((6, 6, 3))
        out = layers.Dense(3, activation=activation)(layers.GlobalMaxPooling2D()(end))
        keras.Model(end, out).save(tmp_path / "small.keras")
        return open_network(tmp_path / "small.keras")

    student, teacher = network(1, None), network(2, "softmax")
    training = Training(loss="cross_entropy", rate=0.0, batch=90, soft=0.3, temperature=2.0, l2=0.1)
    loss = student.train([PICTURES], CLASSES, training, 0, teacher)
    logits, taught = student.predict([PICTURES])[0], np.log(teacher.predict([PICTURES])[0])

    def log_softmax(values: np.ndarray) -> np.ndarray:
        return values - np.log(np.exp(values).sum(axis=1, keepdims=True))

    hard = -log_softmax(logits)[np.arange(90), CLASSES].mean()
    p, q = log_softmax(taught / 2), log_softmax(logits / 2)
    soft = 4 * (np.exp(p) * (p - q)).sum(axis=1).mean()
    (layer,) = student.layers()
    penalty = 0.1 * (student.weight(layer.name) ** 2).sum()
    assert loss == pytest.approx(0.7 * hard + 0.3 * soft + penalty, rel=1e-5)


def test_a_loss_that_is_not_finite_is_an_error_and_a_checkpoint_undoes_it(tmp_path: Path) -> None:
    network = open_network(classifier(tmp_path))
    before = network.predict([PICTURES])[0]
    network.checkpoint(tmp_path / "kept")
    with pytest.raises(ConversionError, match="training diverged in epoch 8") as caught:
        network.train([PICTURES * np.float32(np.inf)], CLASSES, CROSS, 7)
    assert caught.value.code == Code.TRAINING_DIVERGED
    network.restore(tmp_path / "kept")
    assert np.array_equal(network.predict([PICTURES])[0], before)


@pytest.mark.parametrize(
    ("labels", "loss", "message"),
    [
        (CLASSES[:-1], "cross_entropy", "89 labels for 90 samples"),
        (CLASSES + 1, "cross_entropy", "labels are 1 to 3, cross_entropy needs 0 to 2"),
        (np.eye(3)[CLASSES], "cross_entropy", "labels have 3 values a sample, cross_entropy needs 1"),
        (CLASSES, "mse", "labels have 1 values a sample, mse needs 3"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: Any, loss: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        open_network(classifier(tmp_path)).train([PICTURES], labels, Training(loss=loss), 0)


def test_statistics_are_those_of_the_smaller_network(tmp_path: Path) -> None:
    """Moving averages would need hundreds of steps; one epoch of three must do."""
    network = open_network(classifier(tmp_path))
    trained(network, 12)
    network.prune_channels(ChannelPruning(share=0.5), {})
    trained(network, 6)
    assert (network.predict([PICTURES])[0].argmax(axis=1) == CLASSES).mean() > 0.6


CONTINUE = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
from test_compress_keras_training import CLASSES, CROSS, PICTURES
from edgewright.compress.keras.network import open_network
network = open_network(Path(sys.argv[2]))
network.restore(Path(sys.argv[3]))
loss = network.train([PICTURES], CLASSES, CROSS, 1)
weights = {layer.name: network.weight(layer.name) for layer in network.layers()}
np.savez(sys.argv[4], loss=loss, answers=network.predict([PICTURES])[0], **weights)
"""


@pytest.mark.slow
def test_another_process_continues_from_a_checkpoint(tmp_path: Path) -> None:
    """Structure, masks and the optimiser's variables come back: the next epoch is the one that would have come."""
    path = classifier(tmp_path)
    network = open_network(path)
    network.prune_channels(ChannelPruning(share=0.5), {})
    mask = np.random.default_rng(0).random(network.weight("second").shape) < 0.5
    network.hold({"second": mask})
    network.train([PICTURES], CLASSES, CROSS, 0)
    network.checkpoint(tmp_path / "kept")
    loss = network.train([PICTURES], CLASSES, CROSS, 1)
    found = tmp_path / "found.npz"
    here = str(Path(__file__).parent)
    subprocess.run(
        [sys.executable, "-c", CONTINUE, here, path, tmp_path / "kept", found], check=True, timeout=300
    )
    with np.load(found) as other:
        assert float(other["loss"]) == pytest.approx(loss, rel=1e-5)
        for layer in network.layers():
            assert np.allclose(other[layer.name], network.weight(layer.name), atol=1e-6)
        assert np.allclose(other["answers"], network.predict([PICTURES])[0], atol=1e-5)
        assert np.array_equal(other["second"] != 0, mask)
    network.restore(tmp_path / "kept")  # the same again without the optimiser's variables would differ
    assert network.train([PICTURES], CLASSES, CROSS, 1) == pytest.approx(loss, rel=1e-5)


def test_a_checkpoint_undoes_pruning(tmp_path: Path) -> None:
    network = open_network(classifier(tmp_path))
    before, shapes = network.predict([PICTURES])[0], network.layers()
    network.checkpoint(tmp_path / "whole")
    network.prune_channels(ChannelPruning(share=0.5), {})
    assert network.layers() != shapes
    network.restore(tmp_path / "whole")
    assert network.layers() == shapes
    assert np.allclose(network.predict([PICTURES])[0], before, atol=1e-6)
