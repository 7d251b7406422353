"""Checks a recipe before anything is opened: the order of its steps, and whether the data that they need are there."""

from __future__ import annotations

from pathlib import Path

from edgewright.compile.workers import user_function
from edgewright.compress import training_functions
from edgewright.compress.frameworks import cannot_train
from edgewright.compress.steps import STEPS
from edgewright.errors import Code, UsageError
from edgewright.nouns.recipe import Recipe, RecipeStep, TrainingOptions


def shown(step: RecipeStep) -> str:
    """A step in a few words."""
    return STEPS[step.use].shown(step.options)


def teacher(step: RecipeStep) -> str | None:
    """The model file of another network that a step opens; None if it opens none."""
    find = STEPS[step.use].teacher
    return None if find is None else find(step.options)


def check_order(recipe: Recipe) -> None:
    """Raises UsageError for a recipe without steps, or with a step that cannot follow those before it."""
    if not recipe.steps:
        raise UsageError("the recipe has no steps", hint="`edgewright compress --help` lists them")
    for number, step in enumerate(recipe.steps, 1):
        problem = STEPS[step.use].problem
        why = (
            "" if problem is None else problem(step.options, [one.use for one in recipe.steps[: number - 1]])
        )
        if why:
            raise UsageError(f"step {number} of the recipe, {step.use}: {why}", code=Code.RECIPE)


def check_training(recipe: Recipe) -> None:
    """Raises UsageError if the recipe or a step names a loss, an optimiser or a schedule that does not exist."""
    training_functions.check(recipe.training)
    for number, step in enumerate(recipe.steps, 1):
        try:
            training_functions.check(step.options.training)
        except UsageError as error:
            raise UsageError(
                f"step {number} of the recipe, {step.use}: {error.message}", hint=error.hint, code=error.code
            ) from error


def check_data(recipe: Recipe, *, training: bool, deciding: bool) -> None:
    """Raises UsageError if a step needs data that are missing.

    Args:
        training, deciding: whether there are data to train with, and to decide by.
    """
    for number, step in enumerate(recipe.steps, 1):
        if not training and (needs := _training_need(step)):
            raise UsageError(
                f"step {number} of the recipe, {step.use}, {needs}, and there are no training data",
                hint="give them with --data" + (", or set its `epochs` to 0" if step.options.epochs else ""),
                code=Code.TRAINING_DATA_MISSING,
            )
        judged = step.options.floor is not None or step.options.max_drop is not None
        if judged and not (training or deciding):
            raise UsageError(
                f"step {number} of the recipe, {step.use}, has a limit on its accuracy, and there are no data to judge it by",
                hint="give them with --data or --validation",
                code=Code.TRAINING_DATA_MISSING,
            )


def check_labels(recipe: Recipe, *, deciding: bool) -> None:
    """Raises UsageError if a step needs labels: the training data have none.

    Args:
        deciding: whether there are other data to decide by.
    """
    for number, step in enumerate(recipe.steps, 1):
        where = f"step {number} of the recipe, {step.use},"
        if hint := _without_labels(step):
            raise UsageError(
                f"{where} needs labels, and the training data have none",
                hint=f"give labelled data, or {hint}",
                code=Code.LABELS_MISSING,
            )
        if not deciding and (step.options.floor is not None or step.options.max_drop is not None):
            raise UsageError(
                f"{where} has a limit on its accuracy, and the training data have no labels to judge it by",
                hint="give labelled data with --validation",
                code=Code.LABELS_MISSING,
            )


def check_redraw(recipe: Recipe, training: Path | None) -> None:
    """Raises UsageError if training data are to be drawn again and no function draws them."""
    if training is not None and redraws(recipe) and user_function.named(training) is None:
        raise UsageError(
            f"`redraw` calls the function of the training data again, and {training} is none",
            hint="give --data module.py:function, or leave `redraw` out",
            code=Code.RECIPE,
        )


def redraws(recipe: Recipe) -> bool:
    """Whether a step draws its training data again."""
    return any(training.redraw for training in _trainings(recipe))


def leaves_loss_open(recipe: Recipe) -> bool:
    """Whether a step trains with the loss that fits the data."""
    return any(training.loss in (None, "auto") for training in _trainings(recipe))


def _trainings(recipe: Recipe) -> list[TrainingOptions]:
    """How the steps that train do it."""
    return [step.options.training.over(recipe.training) for step in recipe.steps if step.options.epochs]


def _without_labels(step: RecipeStep) -> str:
    """What to change in a step so that it needs no labels; empty if it needs none."""
    options = step.options
    if getattr(options, "importance", "") == "taylor":
        return "choose another `importance`"
    soft = getattr(options, "soft", None)
    if not options.epochs or soft == 1:
        return ""
    if soft is not None:
        return "let it learn from its teacher alone: `soft = 1`"
    return "set its `epochs` to 0 and let `distill` with `soft = 1` train after it"


def check_untrained(recipe: Recipe) -> None:
    """Raises ModelError if a step does more than can be done to a network that cannot be trained."""
    for number, step in enumerate(recipe.steps, 1):
        does = _untrained_fault(step)
        if does:
            raise cannot_train(f"step {number} of the recipe, {step.use}, {does}")


def _untrained_fault(step: RecipeStep) -> str:
    """What a step does that takes more than a network for inference; empty if it does nothing of that kind."""
    if STEPS[step.use].cuts_channels:
        return "removes channels"
    if step.options.epochs:
        return "trains"
    return "looks at gradients" if getattr(step.options, "importance", "") == "taylor" else ""


def _training_need(step: RecipeStep) -> str:
    """What a step does that takes training data; empty if it does nothing of that kind."""
    if step.options.epochs:
        return "trains"
    if getattr(step.options, "importance", "") in ("taylor", "activation"):
        return "looks at gradients or outputs"
    if getattr(step.options, "keep_sensitive", 0):
        return "looks at outputs"
    return "measures the ranges of tensors" if getattr(step.options, "samples", None) else ""
