"""`edgewright compress` on real digits: what each step cost and bought, floors, interruptions, and the way to a board's file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Ran, command_line

pytestmark = pytest.mark.slow
EDGEWRIGHT = ("-c", "from edgewright.cli.main import run; run()")


def compress(*arguments: object) -> Ran:
    return command_line("compress", *arguments, "--json")


def refused(*arguments: object) -> tuple[str, str]:
    """(code, message) of an error."""
    error = compress(*arguments).error
    assert error["hint"]
    return error["code"], error["message"]


README = Path(__file__).parents[2] / "README.md"
MORE = """
[[steps]]
use = "prune"
sparsity = 0.5
epochs = 3
[[steps]]
use = "cluster"
clusters = 16
"""


def recipe_of_the_readme() -> str:
    """The recipe, as it stands there."""
    (found,) = re.findall(r"```toml\n(# small\.toml\n.*?)```", README.read_text(), re.DOTALL)
    return found


@pytest.fixture(scope="module")
def small(
    module_home: Path, digits: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    """A network made by that recipe and more steps, and the command's result."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "recipe.toml").write_text(recipe_of_the_readme() + MORE)
    ran = compress(*arguments(digits, folder), "-o", folder / "small.keras")
    assert ran.code == 0, ran.err
    return folder, ran.json


def arguments(digits: Path, folder: Path) -> tuple[object, ...]:
    data = ("--data", digits / "train.npz", "--evaluation", digits / "test.npz")
    return (digits / "digits.keras", "--recipe", folder / "recipe.toml", *data)


NAMES = ["original", "prune-channels", "distill", "prune", "cluster"]


def test_a_recipe_makes_a_smaller_network(small: tuple[Path, dict[str, Any]], digits: Path) -> None:
    """Smaller in the file, not only in the table; the same recipe again comes from the cache."""
    folder, made = small
    assert [step["name"] for step in made["steps"]] == NAMES
    original, channels, _, pruned, clustered = (step["figures"] for step in made["steps"])
    assert channels["parameters"] < 0.5 * original["parameters"]
    assert channels["macs"] < 0.4 * original["macs"]
    gone = original["parameters"] - channels["parameters"]
    assert original["bytes"] - channels["bytes"] > 0.9 * 4 * gone
    assert pruned["zeros"] >= 0.45 * pruned["parameters"]
    assert pruned["packed_bytes"] < 0.75 * channels["packed_bytes"]
    assert clustered["packed_bytes"] < 0.75 * pruned["packed_bytes"]
    assert made["test"]["n"] == 497
    assert made["test"]["value"] > 0.9
    weights = kernels(folder / "small.keras")
    assert sum((weight == 0).sum() for weight in weights) == clustered["zeros"]
    whole = [
        weight for weight in weights if weight.shape[-1] > 1
    ]  # depthwise ones have nine weights a channel
    assert all(
        len(np.unique(row)) <= 16 for weight in whole for row in weight.reshape(-1, weight.shape[-1]).T
    )
    again = command_line("compress", *arguments(digits, folder), "-o", folder / "again.keras")
    assert (again.code, again.out.count("cached"), "points lost" in again.out) == (0, 4, True), again.out
    assert (folder / "again.keras").read_bytes() == (folder / "small.keras").read_bytes()


def test_a_board_compares_it_with_its_original(
    small: tuple[Path, dict[str, Any]], digits: Path, lab_up: Any, home: Path
) -> None:
    """The gate sees accuracy and latency of both on the board, and the manifest tells the lineage."""
    folder, _ = small
    lab_up(1)
    options = ("--to", "all", "--name", "digits", "--target", "onnxruntime", "--precision", "fp32", "--max-drop", "0.1",
               "--evaluation", digits / "test.npz", "--fleet", home / "fleet.toml", "--json")  # fmt: skip
    first = command_line("deploy", digits / "digits.keras", *options)
    assert first.code == 0, first.err
    second = command_line("deploy", folder / "small.keras", *options)
    assert second.code == 0, second.err
    compared = second.check("accuracy against the incumbent")
    assert (compared["ok"], compared["n"]) == (True, 497)
    assert second.check("p50 against the incumbent")["reference"] > 0
    (manifest,) = (json.loads(file.read_bytes()) for file in home.glob("artifacts/objects/*/manifest.json")
                   if b"small.keras" in file.read_bytes())  # fmt: skip
    lineage = manifest["lineage"]
    assert (lineage["file"], [step["use"] for step in lineage["steps"]]) == ("digits.keras", NAMES[1:])


def kernels(file: Path) -> list[np.ndarray]:
    """The weights of convolutions and dense layers in a `.keras` file, read without Keras."""
    import io

    import h5py

    found: list[np.ndarray] = []
    with zipfile.ZipFile(file) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
        weights.visititems(
            lambda _, item: (
                found.append(item[()]) if isinstance(item, h5py.Dataset) and item.ndim > 1 else None
            )
        )
    return found


def test_a_broken_floor_keeps_the_last_good_network_and_a_board_measures_it(
    here: Path, lab_up: Any, home: Path
) -> None:
    lab_up(1)
    Path("recipe.toml").write_text(
        '[[steps]]\nuse = "prune"\nsparsity = 0.3\nepochs = 0\nmax_drop = 0.05\n'
        '[[steps]]\nuse = "prune"\nsparsity = 0.97\nepochs = 0\nfloor = 0.9\n[[steps]]\nuse = "cluster"\n'
    )
    ran = compress(
        here / "digits.keras",
        "--recipe",
        "recipe.toml",
        "--data",
        here / "train.npz",
        "-o",
        "out.keras",
        "--on",
        "all",
        "--fleet",
        home / "fleet.toml",
    )
    made = ran.json
    assert ran.code == 2
    boards = made["boards"]
    assert [step["shown"] for step in boards["steps"]] == ["original", "prune 30%"] and not boards["failed"]
    (first,), (second,) = (step["measurements"] for step in boards["steps"])
    assert first["latency"]["p50"] > 0 and second["peak_process_mb"] > second["model_memory_mb"] > 0
    assert first["ratio"] is None and second["ratio"]["value"] > 0
    assert (made["good"], len(made["steps"]), made["code"]) == (2, 3, "below-floor")
    assert "the floor is 90.0%" in made["why"]
    zeros = sum(int((weight == 0).sum()) for weight in kernels(Path("out.keras")))
    assert zeros < 0.5 * made["steps"][0]["figures"]["parameters"]
    ran = compress(
        here / "digits.keras",
        "--prune",
        "0.97",
        "--epochs",
        "0",
        "--max-drop",
        "0.01",
        "--data",
        here / "train.npz",
        "-o",
        "none.keras",
    )
    nothing = ran.json
    assert ran.code == 2
    assert (nothing["good"], nothing["output"]) == (1, None)
    assert not Path("none.keras").exists()


def loaded(file: str) -> Any:
    import keras

    return keras.saving.load_model(file)


SENSITIVE = """
[[steps]]
use = "prune-channels"
share = 0.5
keep_sensitive = 0.3
epochs = 1
[[steps]]
use = "prune"
sparsity = 0.5
keep_sensitive = 0.3
epochs = 4
"""


def test_a_killed_compression_continues_and_spares_the_same_layers(here: Path, home: Path) -> None:
    """Killed after a step's second epoch, it continues there. That training goes on as if undisturbed is tested for each framework."""
    Path("recipe.toml").write_text(SENSITIVE)
    arguments = ["--recipe", "recipe.toml", "--data", str(here / "train.npz"), "--seed", "5", "--json"]
    command = [sys.executable, *EDGEWRIGHT, "compress", str(here / "digits.keras"), *arguments]
    with subprocess.Popen(
        [*command, "-o", "a.keras"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as first:
        assert first.stderr is not None
        assert any("epoch 2 of 4" in line for line in first.stderr)
        first.kill()
    assert not Path("a.keras").exists()
    second = subprocess.run(
        [*command, "-o", "a.keras"], capture_output=True, text=True, timeout=300, check=True
    )
    assert "epoch 1 of 4" not in second.stderr
    assert "epoch 4 of 4" in second.stderr
    assert not list((home / "compressions").glob("*.partial"))
    _, channels, weights = json.loads(second.stdout)["result"]["steps"]
    kept, spared = (re.findall(r"(\w+) \([\d.]+%\)", " ".join(step["notes"])) for step in (channels, weights))
    layers = {layer.name: layer for layer in loaded("a.keras").layers}
    assert len(kept) == 1 and layers[kept[0]].filters == {"first": 24, "stem": 16, "second": 16}[kept[0]]
    assert len(spared) == 2 and spared[0] in ("stem", "last")
    for name in ("stem", "first", "second", "wise", "last"):
        zeros = (np.asarray(layers[name].weights[0]) == 0).mean()
        assert zeros == (0 if name in spared else pytest.approx(0.5, abs=0.02)), name


def test_an_infinite_loss_stops_it(here: Path) -> None:
    Path("recipe.toml").write_text(
        '[[steps]]\nuse = "prune"\nsparsity = 0.3\nepochs = 0\n'
        '[[steps]]\nuse = "finetune"\nepochs = 2\ntraining = {rate = 1e30, optimiser = "sgd"}\n'
    )
    ran = compress(
        here / "digits.keras",
        "--recipe",
        "recipe.toml",
        "--data",
        here / "train.npz",
        "-o",
        "out.keras",
    )
    made = ran.json
    assert ran.code == 2
    assert (made["good"], made["code"]) == (2, "training-diverged")
    assert Path("out.keras").exists()


def test_what_cannot_be_compressed(here: Path, tmp_path: Path) -> None:
    net, data = here / "digits.keras", ("--data", here / "train.npz")
    with np.load(here / "train.npz") as given:
        np.savez("eleven.npz", x=given["x"], labels=given["labels"] + 1)
        np.savez("few.npz", x=given["x"][:9], labels=given["labels"][:9])
        np.savez("bare.npz", x=given["x"])
    Path("model.onnx").write_bytes(b"\x08\x07")
    assert refused(net, "--prune", "0.5")[0] == "training-data-missing"
    assert refused(net, "--prune", "much", *data)[0] == "usage"
    assert refused(net, "--prune", "0.5", *data, "-o", "out.pt2")[0] == "usage"
    assert refused(net, *data)[0] == "usage"
    code, message = refused(net, "--prune", "0.5", "--data", "eleven.npz")
    assert (code, "10" in message) == ("data", True), message
    assert "too few" in refused(net, "--prune", "0.5", "--data", "few.npz")[1]
    code, message = refused(net, "--prune", "0.5", "--data", "bare.npz")
    assert (code, "step 1 of the recipe, prune, needs labels" in message) == ("labels-missing", True)
    code, message = refused(net, "--prune", "0.5", "--epochs", "0", "--max-drop", "0.1", "--data", "bare.npz")
    assert (code, "no labels to judge it by" in message) == ("labels-missing", True)
    assert "bare.npz is none" in refused(net, "--prune", "0.5", "--redraw", "--data", "bare.npz")[1]
    assert "unknown optimiser: adamw" in refused(net, "--prune", "0.5", "--optimiser", "adamw", *data)[1]
    planned = compress(net, "--prune-channels", "0.5", "--cluster", "8", *data, "--dry-run").json
    assert [step["use"] for step in planned["plan"]] == ["prune-channels", "cluster"]
    assert list(tmp_path.glob("*compressed*")) == []
