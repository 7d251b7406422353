"""Options that several commands share: one spelling, one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import typer

T = TypeVar("T")
JSON = Annotated[bool, typer.Option("--json", help="Print one JSON document for programs.")]
DEBUG = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
DRY_RUN = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, without changing anything.")
]
YES = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
FLEET = Annotated[
    Path | None,
    typer.Option(
        "--fleet", metavar="FILE", help="Fleet file; default $EDGEWRIGHT_FLEET, ./fleet.toml, the user's own."
    ),
]
PROJECT = Annotated[
    Path | None, typer.Option("--project", metavar="FILE", help="Project file; default ./edgewright.toml.")
]
ON = Annotated[
    str,
    typer.Option("--on", metavar="SELECTOR", help="Boards: names, @label, name[01-20], all, comma-joined."),
]
PARALLEL = Annotated[int, typer.Option("--parallel", min=1, max=256, help="Boards at once.")]
TARGET = Annotated[
    str | None, typer.Option("--target", help="Runtime to compile to; default: the profile's first.")
]
CPU = Annotated[
    str | None,
    typer.Option(
        "--cpu", help="CPU to compile for, such as cortex-a72, if the target does; default: the profile's."
    ),
]
PRECISION = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="{precisions}; default: the profile's.",
    ),
]
CALIBRATION = Annotated[
    str | None,
    typer.Option(
        "--calibration",
        metavar="FILE",
        help=".npz, .npy or folder of images for int8; or the word synthetic.",
    ),
]
EVALUATION = Annotated[
    Path | None,
    typer.Option(
        "--evaluation",
        metavar="FILE",
        help="Labelled .npz, folder of images or module.py:function (runs with your rights); scored here and on the board.",
    ),
]
METRIC = Annotated[
    str | None,
    typer.Option(
        "--metric",
        help="{metrics}, or module.py:function (runs with your rights); default: top1.",
    ),
]
SCORE = Annotated[
    str | None,
    typer.Option(
        "--score",
        metavar="OUTPUT",
        help="Output to score, by name or index; default: the only one that fits the labels.",
    ),
]
MAX_DROP = Annotated[
    float | None,
    typer.Option(
        "--max-drop", min=0.0, max=1.0, help="Most that accuracy may fall, or an error rise, as a fraction."
    ),
]
INPUT_SHAPE = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape", metavar="NAME=1,32,32,3", help="Static shape of an input; may be repeated."
    ),
]
KEEP_FLOAT = Annotated[
    list[str] | None,
    typer.Option(
        "--keep-float", metavar="LAYER", help="Layer that int8-mixed leaves in floats; may be repeated."
    ),
]
CALIBRATION_METHOD = Annotated[
    str | None,
    typer.Option("--calibration-method", help="minmax, entropy or percentile, if the target has it."),
]
INTEGER_IO = Annotated[
    bool | None,
    typer.Option(
        "--integer-io/--float-io", help="int8: make inputs and outputs integers too, or keep them floats."
    ),
]
ENDS_INPUTS = Annotated[
    str | None, typer.Option("--inputs", metavar="A,B", help="Inputs of a frozen TensorFlow graph.")
]
ENDS_OUTPUTS = Annotated[
    str | None, typer.Option("--outputs", metavar="A,B", help="Outputs of a frozen TensorFlow graph.")
]
SIGNATURE = Annotated[
    str | None,
    typer.Option("--signature", metavar="NAME", help="Function of a SavedModel or .tflite file to convert."),
]
THREADS = Annotated[
    int | None,
    typer.Option("--threads", min=1, max=1024, help="Threads; default: the profile's."),
]
ACCELERATOR = Annotated[
    str | None,
    typer.Option("--accelerator", help="Fail if it is absent or not used; `auto`: the fastest available."),
]
ALLOW_CONSTANT = Annotated[
    bool,
    typer.Option("--allow-constant", help="Accept a model that gives the same output for every test input."),
]


TRUST_MODEL = Annotated[
    bool,
    typer.Option("--trust-model", help="Open a model that holds code or reads files; it stays confined."),
]
ACCEPT_INTERFACE = Annotated[
    bool,
    typer.Option(
        "--accept-interface-change", help="Ship a model whose inputs or outputs differ from the incumbent's."
    ),
]


def fleet_path(given: Path | None) -> Path:
    """The fleet file: from the option, the environment, the working folder, or edgewright's home folder."""
    from edgewright.api import fleets

    return fleets.fleet_path(given)


def input_shapes(given: list[str] | None) -> dict[str, tuple[int, ...]]:
    """Input shapes by name: `["x=1,32,32,3"]` -> {"x": (1, 32, 32, 3)}.

    Raises:
        UsageError: a text does not have this form.
    """
    from edgewright.errors import UsageError

    shapes = {}
    for text in given or []:
        name, sign, numbers = text.rpartition("=")
        sizes = numbers.split(",")
        if not sign or not name or not all(size.strip().isdecimal() and int(size) > 0 for size in sizes):
            words = [size for size in sizes if sign and size.strip().isidentifier()]
            raise UsageError(
                f"not an input shape: {text}",
                hint=f"replace {', '.join(words)} with a number"
                if words
                else "such as --input-shape image=1,224,224,3",
            )
        shapes[name] = tuple(int(size) for size in sizes)
    return shapes


def names(text: str | None) -> tuple[str, ...]:
    """Names separated by commas: `a, b` -> ("a", "b")."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def known(what: str, name: str, table: dict[str, T]) -> T:
    """The entry of a table with this name.

    Raises:
        UsageError: there is no such entry; the error suggests the nearest name.
    """
    import difflib

    from edgewright.errors import UsageError

    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(table)}"
        raise UsageError(f"unknown {what}: {name}", hint=hint)
    return table[name]
