"""edgewright init: writes edgewright.toml for a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.api.model_name import slug
from edgewright.cli import options, render

app = typer.Typer(rich_markup_mode=None)

TEMPLATE = """# What edgewright does with this model. Paths are relative to this file.
schema = 2
name = "{name}"  # the model's name on the boards
model = "{model}"  # {format}

# Precision for every profile that says nothing else; without it each profile's own. `edgewright targets` lists them.
# precision = "int8"

# Representative inputs for int8: .npz, .npy or a folder of images.
# calibration = "calibration.npz"

# Labelled inputs (.npz with the inputs and `labels`, a folder of images with a sub-folder a class, or module.py:function),
# scored on every board before a release is kept.
# evaluation = "evaluation.npz"
metric = "top1"  # or top5, f1, auc, mse, mae, module.py:function
# score = "classes"  # the output that is scored, by name or index, where the labels fit several

# Names of the classes, one a line, in the order of the model's outputs: kept in the artifact, for `edgewright infer`.
# labels = "labels.txt"

# The gate: what a board must measure for the release to stay.
[budget]
# p50_ms = 50.0
# p95_ms = 80.0
# peak_process_mb = 200.0  # of the whole process, with Python and the runtime
# model_memory_mb = 50.0  # the model's share of it
# size_mb = 20.0
# max_drop = 0.01

# A profile's own budget wins, key by key.
# [budgets.pi4b]
# p95_ms = 40.0

# Static shapes, where the model has dynamic axes.
# [inputs]
# image = [1, 224, 224, 3]

# Inputs and outputs of a frozen TensorFlow graph (.pb), without which they are guessed; or a signature.
# [conversion.ends]
# inputs = ["image"]
# outputs = ["classes"]
# signature = "serving_default"  # of a SavedModel or .tflite file with several; then without the lines above

# How a raw image becomes an input, for folders of images: scale, then (x - mean) / std per channel.
# [preprocessing]
# scale = 0.00392156862745098
# mean = [0.485, 0.456, 0.406]
# std = [0.229, 0.224, 0.225]
# channels = "rgb"
# layout = "nhwc"
# exif_orientation = true  # turn pictures as the camera noted; leave it out if training did not

# An input that is 0 where the answers mean nothing, such as padding: only the rest is compared with the source's answers.
# [compare]
# mask = "attention_mask"
# function = "boxes.py:same"  # your own: how much of two lists of arrays is the same, 0 to 1, in place of limits on the error
# least = 0.99  # what it has to be

# Scripts that run on the board: restart the application, ask it whether it is well, stop and go on while measuring.
# [hooks]
# activate = "hooks/restart.sh"
# health = "hooks/health.sh"
# quiesce = "hooks/stop.sh"
# resume = "hooks/start.sh"
# timeout_s = 60
"""


@app.command()
def init(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="Model: a file, a SavedModel folder, or module.py:function."),
    ],
    name: Annotated[
        str | None, typer.Option("--name", help="Name on the boards; default: the file's.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path("edgewright.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Write edgewright.toml for a model."""
    import os

    from edgewright.compile.recognition import recognise
    from edgewright.config import project
    from edgewright.errors import UsageError
    from edgewright_agent.protocol import NAME

    found = recognise(model).source.format
    if output.exists() and not force:
        raise UsageError(
            f"there is a file already: {output}", hint="--force replaces it, --output names another"
        )
    chosen = name or slug(model.stem)
    if not NAME.match(chosen):
        raise UsageError(
            f"not a model's name: {chosen!r}", hint="lower-case letters, digits, dot, dash and underscore"
        )
    relative = Path(os.path.relpath(model, output.absolute().parent)).as_posix()
    text = TEMPLATE.format(
        name=chosen, model=relative.replace("\\", "\\\\").replace('"', '\\"'), format=found
    )
    output.write_text(text, encoding="utf-8")
    project.load(output)
    if as_json:
        from edgewright.cli.results.convert import InitResult

        render.result("init", InitResult(path=output, name=chosen, format=found))
    else:
        render.line(f"wrote {output}: {chosen}, {found}")
        given = "" if output == Path("edgewright.toml") else f" --project {output}"
        render.ending(
            f"next: edit it, then `edgewright convert --profile pi4b{given}`, or `edgewright lab up` and `edgewright deploy --to all{given}`"
        )
