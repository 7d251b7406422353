"""edgewright compress: makes a network smaller before it is converted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgewright.cli import options, render
from edgewright.errors import Code, Exit

if TYPE_CHECKING:
    from edgewright.api.fleets import Fleet
    from edgewright.nouns.profile import Profile
    from edgewright.nouns.recipe import Recipe

app = typer.Typer(rich_markup_mode=None)
_TRAINING = (
    "loss",
    "optimiser",
    "rate",
    "schedule",
    "batch",
    "redraw",
    "patience",
)  # options that the recipe has too


@app.command()
def compress(
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]",
            help=".keras, .h5, .pt2 or .onnx file, or module.py:function that returns a PyTorch module; default: the project's.",
        ),
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="TOML file with the steps.")
    ] = None,
    narrow: Annotated[
        float | None,
        typer.Option(
            "--narrow",
            metavar="SHARE",
            help="Remove this share of the channels and draw all weights again; train it with --distill.",
        ),
    ] = None,
    channels: Annotated[
        float | None,
        typer.Option(
            "--prune-channels", metavar="SHARE", help="Remove this share of the channels of each layer."
        ),
    ] = None,
    prune: Annotated[
        str | None,
        typer.Option(
            "--prune",
            metavar="SHARE|N:M",
            help="Set weights to zero: a share of them, or all but N of every M.",
        ),
    ] = None,
    distill: Annotated[
        bool, typer.Option("--distill", help="Train it to answer as the original does, or as --teacher does.")
    ] = False,
    teacher: Annotated[
        Path | None, typer.Option("--teacher", metavar="FILE", help="--distill: model file of the teacher.")
    ] = None,
    equalise: Annotated[
        bool,
        typer.Option("--equalise", help="Even out the ranges of channels for int8; outputs stay the same."),
    ] = False,
    correct_bias: Annotated[
        bool,
        typer.Option(
            "--correct-bias", help="Undo the shift of outputs by int8; the file then needs no --calibration."
        ),
    ] = False,
    qat: Annotated[
        bool,
        typer.Option(
            "--qat", help="Train it with the rounding of int8; the file then needs no --calibration."
        ),
    ] = False,
    cluster: Annotated[
        int | None,
        typer.Option(
            "--cluster", metavar="COUNT", help="Use this many different weights per channel, 2 to 256."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Training data: .npz, folder of images or module.py:function (runs with your rights); with labels, if a step needs them.",
        ),
    ] = None,
    validation: Annotated[
        Path | None,
        typer.Option("--validation", metavar="FILE", help="Data to decide by; default: a tenth of --data."),
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            "--evaluation", metavar="FILE", help="Data for one last look; nothing is decided by them."
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=0, help="Epochs of each step that trains; default 10, --qat 5, ONNX 0."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0.0, help="Learning rate at first; default 0.001, --qat 0.0001."),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            "--loss", metavar="NAME", help="Loss, or module.py:function; default: what fits the labels."
        ),
    ] = None,
    optimiser: Annotated[
        str | None,
        typer.Option("--optimiser", metavar="NAME", help="adam, sgd or module.py:function; default adam."),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            "--schedule",
            metavar="NAME",
            help="Of the rate: cosine, constant or module.py:function; default cosine.",
        ),
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=1, help="Samples a step; default 32.")] = None,
    redraw: Annotated[
        bool | None,
        typer.Option("--redraw", help="Call the function of --data again in each epoch; needs --validation."),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option("--patience", min=0, help="Epochs without improvement to stop after; default: never."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Of everything random; default 0.")
    ] = None,
    metric: options.METRIC = None,
    score: options.SCORE = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            "--max-drop", min=0.0, help="Stop before a step that loses more than this against the original."
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on", metavar="SELECTOR", help="Boards that measure the network of each step: p50, peak memory."
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Kind of these boards; default generic-x86_64.")
    ] = None,
    trust_model: options.TRUST_MODEL = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="New file, .onnx or the model's kind; default MODEL-compressed.",
        ),
    ] = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Run steps again even if nothing changed.")
    ] = False,
    fleet: options.FLEET = None,
    project: options.PROJECT = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Make a network smaller by pruning, distillation, training for int8 and clusters, and train it further."""
    from edgewright.api import compression
    from edgewright.api.step_measurement import StepsOnBoards, measure
    from edgewright.cli import project_source
    from edgewright.cli.progress import Passwords, shown
    from edgewright.cli.results.compress import CompressResult
    from edgewright.cli.views import compression as view

    found_project = project_source.load_project(project)
    source = model or (None if found_project is None else Path(found_project.file.model))
    made = _recipe({**locals(), "trained": source is None or source.suffix.lower() != ".onnx"})
    wanted = compression.wanted_of(
        model, made, compression.Sets(data, validation, evaluation), output=output, metric=metric, score=score,
        project=found_project, trust_model=trust_model, use_cache=not no_cache,
    )  # fmt: skip
    boards, kind = _boards(fleet, on, profile)
    if dry_run:
        planned = CompressResult.planned(wanted)
        render.result("compress", planned) if as_json else view.show_plan(planned)
        return
    with shown() as progress:
        found = compression.run(wanted, progress)
        measured = StepsOnBoards()
        if boards is not None:
            measured = measure(
                found, wanted.model, kind, boards, ask_password=Passwords(progress), progress=progress
            )
    ok = not found.why and not measured.failed
    if as_json:
        render.result("compress", CompressResult.done(wanted, found, measured), ok=ok)
    else:
        view.show(found, wanted.output, measured)
    if any(error.code in (Code.ABORTED, Code.LEFT) for error in measured.failed.values()):
        raise typer.Exit(Exit.ABORTED)
    if not ok:
        raise typer.Exit(Exit.SOME_FAILED)


def _boards(fleet: Path | None, on: str | None, profile: str | None) -> tuple[Fleet | None, Profile]:
    """The boards that measure, and their kind.

    Raises:
        UsageError: there is a kind, but no boards.
    """
    from edgewright.api.conversion import PROFILE
    from edgewright.api.fleets import Fleet
    from edgewright.config import profiles
    from edgewright.errors import UsageError

    if on is None and profile is not None:
        raise UsageError(
            "--profile is the kind of the boards that measure", hint="name them with --on, or leave it out"
        )
    return None if on is None else Fleet.load(fleet).select(on), profiles.load(profile or PROFILE)


def _recipe(given: dict[str, Any]) -> Recipe:
    """The recipe that the options name or spell out.

    Raises:
        UsageError: both, or neither.
    """
    from edgewright.compress import recipes
    from edgewright.config import strict
    from edgewright.errors import UsageError
    from edgewright.nouns.recipe import TrainingOptions

    training = strict.convert(
        {name: given[name] for name in _TRAINING if given[name] is not None},
        TrainingOptions,
        where="options",
    )
    if given["recipe"] is None:
        steps = _steps(given)
        if not steps:
            raise UsageError(
                "nothing to do to the network",
                hint="give --recipe FILE, or --narrow, --prune-channels, --prune, --distill, --equalise, --correct-bias, --qat or --cluster",
            )
        return recipes.of_steps(steps, training, given["seed"] or 0)
    for name in (
        "narrow", "channels", "prune", "distill", "teacher", "equalise", "correct_bias", "qat", "cluster", "epochs", "max_drop",
    ):  # fmt: skip
        if given[name] not in (None, False):
            option = "prune-channels" if name == "channels" else name.replace("_", "-")
            raise UsageError(f"--{option} and --recipe cannot be combined", hint="put it into the recipe")
    return recipes.with_training(recipes.load(given["recipe"]), training, given["seed"])


def _steps(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Tables of the steps that the options spell out, in the order that works best: what is removed goes before what
    fits the rest to int8, and clusters come last."""
    shared = {name: given[name] for name in ("epochs", "max_drop") if given[name] is not None}
    untrained = {name: value for name, value in shared.items() if name != "epochs"}
    steps: list[dict[str, Any]] = []
    if given["narrow"] is not None:  # it knows nothing yet, so that no limit can hold
        steps.append({"use": "narrow", "share": given["narrow"]})
    if given["channels"] is not None:
        steps.append({"use": "prune-channels", "share": given["channels"], **shared})
    if given["prune"] is not None:
        epochs = (
            {} if given["trained"] else {"epochs": 0}
        )  # without training, weights can still be set to zero
        steps.append({"use": "prune", **epochs, **_pruned(given["prune"]), **shared})
    if given["distill"] or given["teacher"] is not None:
        named = {} if given["teacher"] is None else {"teacher": str(given["teacher"])}
        steps.append({"use": "distill", **named, **shared})
    if given["equalise"]:
        steps.append({"use": "equalise", **untrained})
    if given["correct_bias"]:
        steps.append({"use": "correct-bias", **untrained})
    if given["qat"]:
        steps.append({"use": "qat", **shared})
    if given["cluster"] is not None:
        steps.append({"use": "cluster", "clusters": given["cluster"], **untrained})
    return steps


def _pruned(text: str) -> dict[str, Any]:
    """The option of `prune` that a share or a pattern stands for. Raises UsageError for other texts."""
    from edgewright.errors import UsageError

    if ":" in text:
        return {"pattern": text}
    try:
        return {"sparsity": float(text)}
    except ValueError:
        raise UsageError(f"--prune is neither a share nor N:M: {text}", hint="such as 0.5 or 2:4") from None
