"""Training data without labels, data that are drawn again, and functions of the user in a worker: `edgewright compress` on real digits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import command_line
from PIL import Image

from edgewright.compile.data import evaluation_set
from edgewright.compile.workers.pool import Workers
from edgewright.compress.frameworks import open_network
from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.compression import Training
from edgewright.nouns.project import Preprocessing

pytestmark = pytest.mark.slow
EDGEWRIGHT = ("-c", "from edgewright.cli.main import run; run()")
NETS = Path(__file__).with_name("torch_nets.py")
SAMPLE = (TensorSpec(name="x", shape=(1, 2, 2, 1), dtype="float32"),)


def compress(*arguments: object) -> Any:
    return command_line("compress", *arguments, "--json")


def weights(file: str) -> list[np.ndarray]:
    network = open_network(Path(file), Path(file).suffix[1:])
    return [network.weight(layer.name) for layer in network.layers()]


def same(one: str, other: str) -> bool:
    return all(map(np.array_equal, weights(one), weights(other)))


@pytest.fixture(scope="module")
def program(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PyTorch program that knows the digits."""
    network = open_network(Path(f"{NETS}:digits"), "pytorch")
    with np.load(digits / "train.npz") as found:
        for epoch in range(5):
            network.train([found["x"]], found["labels"], Training(loss="cross_entropy", rate=3e-3), epoch)
    network.save(file := tmp_path_factory.mktemp("program") / "digits.pt2")
    return file


SMALLER = {"keras": 'use = "prune-channels"\nshare = 0.5', "torch": 'use = "prune"\nsparsity = 0.85'}


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_a_network_learns_from_itself_without_labels(framework: str, here: Path, program: Path) -> None:
    """What pruning cost comes back; labels that were kept apart show it. Without any, nothing decides."""
    source, suffix = (here / "digits.keras", "keras") if framework == "keras" else (program, "pt2")
    with np.load(here / "train.npz") as found:
        np.savez("bare.npz", x=found["x"])
    Path("recipe.toml").write_text(
        f'[[steps]]\n{SMALLER[framework]}\nepochs = 0\n[[steps]]\nuse = "distill"\nsoft = 1\nepochs = 4\n'
    )
    arguments = (source, "--recipe", "recipe.toml", "--data", "bare.npz")
    decided = compress(*arguments, "--validation", here / "test.npz", "-o", f"decided.{suffix}")
    assert decided.code == 0, decided.err
    _, pruned, learnt = (step["accuracy"]["value"] for step in decided.json["steps"])
    assert pruned < 0.8
    assert learnt > max(0.93, pruned + 0.15)
    alone = compress(*arguments, "--evaluation", here / "test.npz", "-o", f"alone.{suffix}")
    assert alone.code == 0, alone.err
    assert [step["accuracy"] for step in alone.json["steps"]] == [None] * 3
    last = alone.json["steps"][-1]
    assert (last["epochs"], last["best"]) == (4, 4)
    assert alone.json["test"]["value"] > (0.93 if framework == "keras" else pruned + 0.1)
    guessed = any("--loss cross_entropy" in note for note in alone.json["notes"])
    assert guessed == (framework == "torch")  # the one ends with a softmax, the other with logits


DRAWN = """
import os, numpy as np
def train(epoch=7):
    with open("calls.txt", "a") as file:
        file.write(f"{epoch} ")
    random = np.random.default_rng(epoch)
    with np.load(os.environ["DIGITS"]) as given:
        for image, label in zip(given["x"][:300], given["labels"]):
            yield np.roll(image, random.integers(-1, 2, 2), (0, 1)), label
"""


def test_data_are_drawn_again_in_each_epoch(
    here: Path, program: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed run continues with the draw of its epoch; nothing of the draws is left."""
    monkeypatch.setenv("DIGITS", str(here / "train.npz"))
    Path("data.py").write_text(DRAWN)
    given = (str(program), "--prune", "0.8", "--epochs", "4", "--data", "data.py:train", "--rate", "0.003")
    decided = ("--validation", str(here / "test.npz"))
    assert "`redraw` draws all training data again" in compress(*given, "--redraw").error["message"]
    Path("calls.txt").unlink()
    command = [sys.executable, *EDGEWRIGHT, "compress", *given, *decided, "--redraw", "-o", "redrawn.pt2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        assert any("epoch 2 of 4" in line for line in first.stderr)
        first.kill()
    subprocess.run(command, capture_output=True, timeout=300, check=True)
    calls = Path("calls.txt").read_text().split()
    assert calls in (
        ["1", "2", "3"],
        ["1", "2", "2", "3"],
    )  # it was killed before or after the third draw began
    Path("calls.txt").unlink()
    left = set((home / "evaluations").glob("tmp*"))  # by the killed one
    again = compress(*given, *decided, "--redraw", "--no-cache", "-o", "again.pt2")
    assert again.code == 0, again.err
    assert Path("calls.txt").read_text().split() == ["0", "1", "2", "3"]
    assert same("again.pt2", "redrawn.pt2")
    assert set((home / "evaluations").glob("tmp*")) == left
    once = compress(*given, *decided, "-o", "once.pt2")
    assert once.code == 0, once.err
    assert not same("once.pt2", "again.pt2")


OWN = """
from beside.scale import SCALE
import keras, tensorflow as tf
def loss(labels, outputs):
    print("the loss is traced")
    return -tf.math.log(SCALE + tf.gather(outputs, labels, axis=1, batch_dims=1))
def optimiser(rate): return keras.optimizers.RMSprop(rate)
def schedule(epoch, epochs): return 1 / (epoch + 1)
"""


def test_a_killed_run_with_functions_of_the_user_continues(here: Path, home: Path) -> None:
    """Exactly as one that was not killed. The worker that runs them may not list their folder, nor write to the log of functions."""
    Path("beside").mkdir()
    Path("beside/__init__.py").touch()
    Path("beside/scale.py").write_text("SCALE = 1e-9\n")
    Path("own.py").write_text(OWN)
    given = [
        str(here / "digits.keras"),
        "--prune-channels",
        "0.25",
        "--epochs",
        "2",
        "--data",
        str(here / "train.npz"),
    ]
    own = [text for what in ("loss", "optimiser", "schedule") for text in (f"--{what}", f"own.py:{what}")]
    command = [sys.executable, *EDGEWRIGHT, "compress", *given, *own]
    with subprocess.Popen([*command, "-o", "a.keras"], stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        assert any("epoch 1 of 2" in line for line in first.stderr)
        first.kill()
    second = subprocess.run(
        [*command, "-o", "a.keras"], capture_output=True, text=True, timeout=300, check=True
    )
    assert "epoch 1 of 2" not in second.stderr
    assert "the loss is traced" in (home / "logs/compress.log").read_text()
    whole = compress(*given, *own, "--no-cache", "-o", "b.keras")
    assert whole.code == 0, whole.err
    assert same("a.keras", "b.keras")
    Path("beside/scale.py").write_text("SCALE = 0.5\n")
    changed = compress(*given, *own, "-o", "d.keras")
    assert not changed.json["steps"][1]["cached"]
    assert not same("b.keras", "d.keras")


BARE = """
import numpy as np
X = np.arange(20, dtype=np.float32).reshape(5, 2, 2, 1)
def arrays(): yield from X
def named(): yield from ({"x": x} for x in X)
def tensorflow():
    import tensorflow as tf
    return tf.data.Dataset.from_tensor_slices(X).batch(2)
def torch():
    import torch
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(X)), batch_size=2)
def some():
    for at, x in enumerate(X):
        yield (x, at) if at % 2 else x
"""


def test_data_without_labels_are_read_where_they_may_be(tmp_path: Path, workers: Workers, home: Path) -> None:
    x = np.arange(20, dtype=np.float32).reshape(5, 2, 2, 1)
    (tmp_path / "bare.py").write_text(BARE)
    np.savez(tmp_path / "bare.npz", x=x)
    np.save(tmp_path / "bare.npy", x)
    (tmp_path / "images").mkdir()
    for index, pixels in enumerate(x.astype(np.uint8)):
        Image.fromarray(pixels[..., 0]).save(tmp_path / "images" / f"{index}.png")
    preparing = Preprocessing(channels="gray")
    names = (
        "bare.npz",
        "bare.npy",
        "images",
        "bare.py:arrays",
        "bare.py:named",
        "bare.py:tensorflow",
        "bare.py:torch",
    )
    for name in names:
        found = evaluation_set.prepare(tmp_path / name, SAMPLE, preparing, workers=workers, unlabelled=True)
        assert (found.count, found.labelled) == (5, False), name
        with np.load(found.inputs) as members:
            assert np.array_equal(members["input_0"][:, 0], x), name
        with pytest.raises(DataError, match=r"no label|no pair"):
            evaluation_set.prepare(tmp_path / name, SAMPLE, preparing, workers=workers)
    with pytest.raises(DataError, match="5 samples and 2 labels"):
        evaluation_set.prepare(tmp_path / "bare.py:some", SAMPLE, workers=workers, unlabelled=True)
