"""Recipes from TOML files, and from the command line's short forms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from edgewright.compress import training_functions
from edgewright.compress.steps import STEPS
from edgewright.config import strict
from edgewright.errors import Code, ConfigError
from edgewright.nouns.base import Noun
from edgewright.nouns.recipe import DEFAULT_TRAINING, Recipe, RecipeStep, TrainingOptions

WHAT = "recipe"
_MOST_BASES = 16


class RecipeFile(Noun, frozen=True, kw_only=True):
    """A recipe's file.

    Attributes:
        schema: 1.
        extends: path of another recipe, from this file's folder: what this file does not say comes from there.
        seed: of everything random.
        training: how the steps train, unless they say otherwise.
        steps: tables, each with the name of a kind of step in `use` and that kind's options.
    """

    schema: int = 1
    extends: str | None = None
    seed: int | None = None
    training: TrainingOptions = TrainingOptions()
    steps: tuple[dict[str, Any], ...] = ()


def load(path: Path) -> Recipe:
    """The recipe in a TOML file, with those that it extends.

    Raises:
        ConfigError: a file is missing or not TOML, or a key, a step or an option is unknown or of the wrong type.
    """
    seed, training, steps = None, TrainingOptions(), None
    seen: list[Path] = []
    place: Path | None = path
    while place is not None:
        if place.resolve() in seen or len(seen) > _MOST_BASES:
            raise ConfigError(
                f"recipe extends itself: {place}", hint="leave `extends` out of one of the files"
            )
        seen.append(place.resolve())
        found = strict.read(place, RecipeFile, what=WHAT)
        seed = found.seed if seed is None else seed
        training = training.over(training_functions.placed(found.training, place.parent))
        if steps is None and found.steps:
            where = f"{WHAT} {place}"
            steps = tuple(
                _placed(step(_with_teacher(table, place.parent), f"{where}, step {number}"), place.parent)
                for number, table in enumerate(found.steps, 1)
            )
        place = None if found.extends is None else place.parent / found.extends
    return Recipe(steps=steps or (), training=training.over(DEFAULT_TRAINING), seed=seed or 0)


def _placed(made: RecipeStep, folder: Path) -> RecipeStep:
    """A step whose functions are found from the recipe's folder."""
    training = training_functions.placed(made.options.training, folder)
    return msgspec.structs.replace(made, options=msgspec.structs.replace(made.options, training=training))


def _with_teacher(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A step's table whose teacher is found from the recipe's folder, as `extends` is."""
    teacher = table.get("teacher")
    return dict(table) if not isinstance(teacher, str) else {**table, "teacher": str(folder / teacher)}


def step(table: Mapping[str, Any], where: str) -> RecipeStep:
    """A step from its table.

    Args:
        where: states its origin in messages.

    Raises:
        ConfigError: there is no such kind of step, or an option is unknown or of the wrong type.
    """
    options = dict(table)
    use = options.pop("use", None)
    if use not in STEPS:
        known = ", ".join(STEPS)
        what = "has no `use`" if use is None else f"has an unknown `use`: {use}"
        raise ConfigError(f"{where} {what}", hint=f"kinds of steps are {known}", code=Code.RECIPE)
    found = strict.convert(options, STEPS[use].options, where=f"{where} ({use})", page="docs/compress.md")
    return RecipeStep(use=use, options=found)


def of_steps(tables: list[dict[str, Any]], training: TrainingOptions, seed: int) -> Recipe:
    """A recipe of steps given as tables."""
    made = tuple(step(table, f"step {number}") for number, table in enumerate(tables, 1))
    return Recipe(steps=made, training=training.over(DEFAULT_TRAINING), seed=seed)


def with_training(recipe: Recipe, training: TrainingOptions, seed: int | None) -> Recipe:
    """A recipe with what the command line says about training."""
    return msgspec.structs.replace(
        recipe, training=training.over(recipe.training), seed=recipe.seed if seed is None else seed
    )
