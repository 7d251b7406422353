"""Equalisation and bias correction: the function stays the same, and int8 gets back what it lost, without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import result_of
from int8_files import answers, calibration, int8, set_of
from uneven_channels import uneven_mobile

from edgewright.cli.main import main
from edgewright.compress import bias_correction, equalisation
from edgewright.compress.frameworks import open_network
from edgewright.compress.network import Network
from edgewright.compress.recipe_check import check_order
from edgewright.compress.recipes import of_steps
from edgewright.errors import Exit, UsageError
from edgewright.nouns.recipe import TrainingOptions

NETS = Path(__file__).parent / "torch_nets.py"
TORCH = (
    "depthwise", "squeeze", "sound", "random_1", "random_2", "random_3", "random_4", "random_5", "transposed_norm",
    *(f"hard_{name}" for name in ("multiplied", "grouped", "shuffle", "twice", "attention", "permuted", "split")),
)  # fmt: skip
SAME = 1e-4


def samples(network: Network, count: int = 12) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(size=(count, *spec.shape[1:])).astype(spec.dtype) for spec in network.inputs]


def check_same(network: Network) -> equalisation.Equalised:
    """Equalises with a mask held, and twice: the second time there is nothing left to do."""
    inputs = samples(network)
    rng = np.random.default_rng(0)
    masks = {layer.name: rng.random(layer.shape) < 0.7 for layer in network.layers()}
    network.hold(masks)
    before, links = network.predict(inputs), network.channel_links().links
    for link in links:
        network.scale_channels(link, 2 ** rng.uniform(-3, 3, len(network.channel_ranges(link)[0])))
    found = equalisation.equalise(network, [])
    for one, other in zip(network.predict(inputs), before, strict=True):
        assert np.abs(one - other).max() <= SAME * np.abs(other).max()
    assert found.layers == tuple(link.maker for link in links)
    assert not set(found.layers) & set(found.left)
    for link in links:
        changes = equalisation.factors(*network.channel_ranges(link), network.bias(link.maker))
        assert np.abs(np.log(changes)).max() < 0.05
    assert all((network.weight(name)[~mask] == 0).all() for name, mask in masks.items())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_keras_graphs_compute_the_same_when_equalised(seed: int, tmp_path: Path) -> None:
    from keras_graphs import RandomGraph

    RandomGraph(seed).model().save(tmp_path / "model.keras")
    check_same(open_network(tmp_path / "model.keras", "keras"))


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCH)
def test_modules_and_their_programs_compute_the_same_when_equalised(name: str, tmp_path: Path) -> None:
    network = open_network(Path(f"{NETS}:{name}"), "pytorch")
    network.save(tmp_path / "net.pt2")
    assert check_same(network).layers
    check_same(open_network(tmp_path / "net.pt2", "pt2"))


@pytest.mark.slow
def test_what_keeps_its_channels_is_named(tmp_path: Path) -> None:
    """Clipped, added, read by something else, shared, and the depthwise convolution between two others that is not."""
    import keras
    from keras import layers

    given = keras.Input((8, 8, 3))
    x = layers.ReLU(max_value=6)(layers.Conv2D(4, 3, name="clipped")(given))
    x = layers.BatchNormalization()(layers.Conv2D(5, 3, name="free")(x))
    x = layers.LeakyReLU()(layers.DepthwiseConv2D(2, depth_multiplier=2, name="wise")(layers.ReLU()(x)))
    y = layers.Conv2D(6, 1, name="added")(x)
    x = layers.Add()([y, layers.Conv2D(6, 1, name="other")(x)])
    x = layers.Flatten()(layers.AveragePooling2D(3)(layers.Conv2D(4, 1, name="flat", activation="relu")(x)))
    shared = layers.Dense(4, name="shared")
    x = layers.Dense(3, name="last")(shared(layers.Dense(4, name="before")(shared(x))))
    keras.Model(given, x).save(tmp_path / "model.keras")
    found = check_same(open_network(tmp_path / "model.keras", "keras"))
    assert found.layers == ("free", "wise")
    assert found.left.keys() == {"clipped", "added", "other", "flat", "shared", "before"}
    assert "does not scale" in found.left["clipped"]
    assert "Add" in found.left["added"]
    assert "more than once" in found.left["shared"]
    assert "shared" in found.left["flat"]


def as_keras(network: Network, file: Path) -> None:
    """The same network for Keras."""
    import keras
    from keras import layers

    weights = {name: one.detach().numpy() for name, one in network._body.flat.inner.state_dict().items()}  # type: ignore[attr-defined]
    weights = {name.removeprefix("inner."): one for name, one in weights.items()}
    x = given = keras.Input((8, 8, 1), name="x")
    for name, kind, settings in (
        ("stem", layers.Conv2D, {"filters": 16, "kernel_size": 3}),
        ("wise", layers.DepthwiseConv2D, {"kernel_size": 3}),
        ("point", layers.Conv2D, {"filters": 24, "kernel_size": 1}),
        ("deep", layers.DepthwiseConv2D, {"kernel_size": 3, "strides": 2}),
        ("wide", layers.Conv2D, {"filters": 32, "kernel_size": 1}),
    ):
        x = layers.ZeroPadding2D()(x) if settings["kernel_size"] == 3 else x
        layer, norm = kind(name=name, **settings), layers.BatchNormalization(epsilon=1e-5)
        x = layers.ReLU()(norm(layer(x)))
        kernel = weights[f"{name}.weight"].transpose(
            2, 3, *((0, 1) if "DepthwiseConv2D" in str(kind) else (1, 0))
        )
        layer.set_weights([kernel, weights[f"{name}.bias"]])
        norm.set_weights(
            [weights[f"{name}_norm.{one}"] for one in ("weight", "bias", "running_mean", "running_var")]
        )
    last = layers.Dense(10)
    model = keras.Model(given, last(layers.GlobalAveragePooling2D()(x)))
    last.set_weights([weights["last.weight"].T, weights["last.bias"]])
    model.save(file)


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "target"), [(".keras", "tflite"), (".pt2", "onnxruntime")])
def test_int8_files_get_back_most_of_what_they_lost(
    suffix: str,
    target: str,
    digits: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """int8 changes the answers much, inputs alone bring most of that back, and the file carries its calibration."""
    monkeypatch.chdir(tmp_path)
    network = uneven_mobile(digits)
    source = tmp_path / f"uneven{suffix}"
    network.save(source) if suffix == ".pt2" else as_keras(network, source)
    x, y = set_of(digits, "test.npz")
    np.savez("calibration.npz", x=calibration(digits))
    floats = network.predict([x])

    def scored(file: Path, *more: object) -> tuple[float, float]:
        """The error of its answers, and how many points of accuracy it lost."""
        model, manifest = int8(file, target, capsys, *more)
        assert manifest["calibration"]["kind"] == "data"
        found = answers(model, x)
        lost = np.mean(floats[0].argmax(1) == y) - np.mean(found.argmax(1) == y)
        return bias_correction.error([found], floats), float(lost)

    np.savez("inputs.npz", x=set_of(digits, "train.npz")[0])
    flags = ["--equalise", "--correct-bias", "--data", "inputs.npz", "--json"]
    better = tmp_path / f"better{suffix}"
    for output, cached in ((better, False), (tmp_path / f"again{suffix}", True)):
        capsys.readouterr()
        assert main(["compress", str(source), *flags, "-o", str(output)]) == 0
        steps = result_of(capsys.readouterr().out)["steps"][1:]
        assert [step["name"] for step in steps] == ["equalise", "correct-bias"]
        assert all(step["cached"] is cached for step in steps)
    before, lost = scored(source, "--calibration", "calibration.npz")
    after, left = scored(better)
    assert before > 0.005
    assert after <= 0.2 * before and left <= max(lost, 0.005)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["keras", "pytorch"])
def test_corrected_channels_have_the_means_of_the_float_network(
    framework: str, digits: Path, tmp_path: Path
) -> None:
    """With channels so uneven that int8 shifts their means on every machine, whatever its training made of the network."""
    network = uneven_mobile(digits)
    if framework == "keras":
        as_keras(network, tmp_path / "uneven.keras")
        network = open_network(tmp_path / "uneven.keras", "keras")
    inputs = [calibration(digits)]
    means, floats = network.channel_means(inputs), network.predict(inputs)
    network.simulate(inputs)
    before = network.channel_means(inputs)
    found = bias_correction.correct(network, inputs)
    after = network.channel_means(inputs)
    assert list(means) == [layer.name for layer in network.layers()] == list(found.layers)
    for layer in means:
        assert np.abs(after[layer] - means[layer]).max() < 0.2 * np.abs(before[layer] - means[layer]).max()
    assert 0 < found.after < found.before
    assert bias_correction.error(network.predict(inputs), floats) == pytest.approx(found.after, rel=1e-3)


@pytest.mark.slow
def test_a_correction_that_makes_it_worse_is_undone() -> None:
    """A layer that runs twice has one bias for two different shifts."""
    network = open_network(Path(f"{NETS}:hard_twice"), "pytorch")
    before = {layer.name: network.bias(layer.name) for layer in network.layers()}
    found = bias_correction.correct(network, samples(network))
    assert found.after > found.before
    for layer, bias in before.items():
        np.testing.assert_array_equal(network.bias(layer), bias)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (["cluster", "equalise"], "change the clusters"),
        (["qat", "equalise"], "before `qat`"),
        (["correct-bias", "equalise"], "before `correct-bias`"),
        (["qat", "correct-bias"], "trains the biases too"),
    ],
)
def test_an_order_that_undoes_a_step_is_refused(steps: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_order(of_steps([{"use": use} for use in steps], TrainingOptions(), 0))
    for use in ("equalise", "correct-bias"):
        with pytest.raises(UsageError, match="leave `epochs` out"):
            check_order(of_steps([{"use": use, "epochs": 1}], TrainingOptions(), 0))


@pytest.mark.parametrize("flag", ["--equalise", "--correct-bias", "--qat"])
def test_a_recipe_says_itself_what_it_does(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", "net.keras", "--recipe", "recipe.toml", flag]) == Exit.USAGE
    assert f"{flag} and --recipe cannot be combined" in capsys.readouterr().err
