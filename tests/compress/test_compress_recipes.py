"""Recipes: files, what they extend, and orders that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewright.compress import recipe_check, recipes
from edgewright.compress.steps import STEPS
from edgewright.compress.steps.prune import Options
from edgewright.errors import ConfigError, UsageError
from edgewright.nouns.recipe import TrainingOptions

BASE = """
seed = 7
[training]
rate = 0.01
batch = 16
[[steps]]
use = "prune-channels"
share = 0.5
[[steps]]
use = "prune"
sparsity = 0.8
epochs = 4
max_drop = 0.02
training = {rate = 0.002}
"""


def written(folder: Path, text: str, name: str = "recipe.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    found = recipes.load(written(tmp_path, BASE))
    assert (found.seed, found.training.rate, found.training.batch, found.training.optimiser) == (
        7,
        0.01,
        16,
        "adam",
    )
    assert [step.use for step in found.steps] == ["prune-channels", "prune"]
    options = found.steps[1].options
    assert isinstance(options, Options)
    assert (options.sparsity, options.epochs, options.max_drop, options.training.rate) == (
        0.8,
        4,
        0.02,
        0.002,
    )


def test_what_a_file_does_not_say_comes_from_the_one_it_extends(tmp_path: Path) -> None:
    written(tmp_path, BASE, "base.toml")
    other = recipes.load(written(tmp_path, 'extends = "base.toml"\n[training]\nbatch = 64\n'))
    assert (other.seed, other.training.rate, other.training.batch) == (7, 0.01, 64)
    assert len(other.steps) == 2
    own = recipes.load(written(tmp_path, 'extends = "base.toml"\nseed = 1\n[[steps]]\nuse = "cluster"\n'))
    assert (own.seed, [step.use for step in own.steps]) == (1, ["cluster"])


def test_the_command_line_goes_first(tmp_path: Path) -> None:
    found = recipes.with_training(recipes.load(written(tmp_path, BASE)), TrainingOptions(rate=0.5), 3)
    assert (found.seed, found.training.rate, found.training.batch) == (3, 0.5, 16)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[steps]]\nuse = "squash"\n', "unknown `use`: squash"),
        ("[[steps]]\nshare = 0.5\n", "has no `use`"),
        ('[[steps]]\nuse = "prune"\nsparsty = 0.5\n', "sparsty"),
        ('[[steps]]\nuse = "prune"\nsparsity = 1.5\n', "sparsity"),
        ('[[steps]]\nuse = "prune-channels"\n', "share"),
        ('extends = "recipe.toml"\n', "extends itself"),
        ('extends = "absent.toml"\n', "no such recipe"),
        ("steps = 3\n", "steps"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        recipes.load(written(tmp_path, text))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([], "no steps"),
        ([{"use": "prune"}], "either `sparsity` or `pattern`"),
        ([{"use": "prune", "sparsity": 0.5, "pattern": "2:4"}], "either `sparsity` or `pattern`"),
        ([{"use": "prune", "pattern": "4:2"}], "not N:M"),
        (
            [{"use": "prune", "sparsity": 0.5}, {"use": "prune-channels", "share": 0.5}],
            "step 2 .*before `prune`",
        ),
        ([{"use": "cluster"}, {"use": "finetune"}], "undo the clusters"),
        ([{"use": "cluster", "epochs": 2}], "undo the clusters"),
        ([{"use": "distill"}], "the network itself"),
        ([{"use": "cluster"}, {"use": "qat"}], "put `cluster` after it"),
        ([{"use": "qat", "teacher": "big.keras"}], "`soft` above 0"),
    ],
)
def test_an_impossible_order_is_refused(steps: list[dict[str, object]], message: str) -> None:
    recipe = recipes.of_steps(steps, TrainingOptions(), 0)
    with pytest.raises(UsageError, match=message):
        recipe_check.check_order(recipe)


def checked(*steps: dict[str, object], training: bool = False, deciding: bool = False) -> None:
    recipe = recipes.of_steps(list(steps), TrainingOptions(), 0)
    recipe_check.check_data(recipe, training=training, deciding=deciding)


def test_steps_that_train_need_data() -> None:
    with pytest.raises(UsageError, match="no training data"):
        checked({"use": "prune", "sparsity": 0.5})
    checked({"use": "prune", "sparsity": 0.5}, training=True)
    checked({"use": "prune", "sparsity": 0.5, "epochs": 0}, {"use": "cluster"})
    with pytest.raises(UsageError, match="gradients"):
        checked({"use": "prune-channels", "share": 0.5, "epochs": 0, "importance": "taylor"}, deciding=True)
    with pytest.raises(UsageError, match="ranges"):
        checked({"use": "qat", "epochs": 0}, deciding=True)


def test_a_limit_needs_data_to_decide_by() -> None:
    with pytest.raises(UsageError, match="limit on its accuracy") as caught:
        checked({"use": "cluster", "max_drop": 0.1})
    assert "--validation" in caught.value.hint
    checked({"use": "cluster", "max_drop": 0.1}, deciding=True)


@pytest.mark.parametrize(
    ("step", "hint"),
    [
        ({"use": "finetune"}, "`epochs` to 0"),
        ({"use": "prune", "sparsity": 0.5}, "`epochs` to 0"),
        ({"use": "prune", "sparsity": 0.5, "epochs": 0, "importance": "taylor"}, "another `importance`"),
        ({"use": "distill", "teacher": "big.keras"}, "`soft = 1`"),
        ({"use": "qat"}, "`soft = 1`"),
        ({"use": "cluster", "max_drop": 0.1}, "--validation"),
        ({"use": "distill", "teacher": "big.keras", "soft": 1}, ""),
        ({"use": "qat", "soft": 1}, ""),
        ({"use": "qat", "epochs": 0}, ""),
        ({"use": "prune-channels", "share": 0.5, "epochs": 0, "importance": "activation"}, ""),
        ({"use": "cluster"}, ""),
    ],
)
def test_steps_that_need_labels(step: dict[str, object], hint: str) -> None:
    recipe = recipes.of_steps([{"use": "cluster"}, step], TrainingOptions(), 0)
    if not hint:
        recipe_check.check_labels(recipe, deciding=False)
        return
    with pytest.raises(UsageError, match=r"step 2 of the recipe, .* labels") as caught:
        recipe_check.check_labels(recipe, deciding=False)
    assert hint in caught.value.hint
    if hint == "--validation":
        recipe_check.check_labels(recipe, deciding=True)


def test_paths_in_a_recipe_are_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    text = '[[steps]]\nuse = "distill"\nteacher = "big.keras"\n'
    found = recipes.load(written(tmp_path / "below", text))
    assert recipe_check.teacher(found.steps[0]) == str(tmp_path / "below/big.keras")


def test_every_kind_of_step_says_what_it_is() -> None:
    assert {"prune", "prune-channels", "finetune", "distill", "cluster"} <= set(STEPS)
    assert all(STEPS[name].title for name in STEPS)
