"""Options that several commands share: one spelling, one help text."""

from __future__ import annotations

import os
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
PRECISION = Annotated[
    str | None,
    typer.Option(
        "--precision",
        help="fp32, fp16, int8, int8-dynamic, int8-mixed, int16x8, ...; default: the profile's.",
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
        help="Labelled .npz, folder of images or module.py:function; scored here and on the board.",
    ),
]
METRIC = Annotated[
    str | None,
    typer.Option("--metric", help="top1, top5, f1, auc, mse, mae, or module.py:function; default: top1."),
]
SCORE = Annotated[
    str | None,
    typer.Option(
        "--score",
        metavar="OUTPUT",
        help="Output that is scored, by name or index; default: the only one that the labels fit.",
    ),
]
MAX_DROP = Annotated[
    float | None,
    typer.Option(
        "--max-drop", min=0.0, max=1.0, help="How much accuracy may fall, or an error rise, as a fraction."
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
    typer.Option("--integer-io/--float-io", help="int8: whether inputs and outputs are integers, too."),
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
THREADS = Annotated[int, typer.Option("--threads", min=1, max=1024, help="Inference threads on the board.")]
ACCELERATOR = Annotated[
    str | None,
    typer.Option("--accelerator", help="Fail if it is absent or not used; `auto`: the fastest available."),
]
ALLOW_CONSTANT = Annotated[
    bool,
    typer.Option("--allow-constant", help="Accept a model that gives the same output for every test input."),
]


ACCEPT_INTERFACE = Annotated[
    bool,
    typer.Option(
        "--accept-interface-change", help="Ship a model whose inputs or outputs differ from the incumbent's."
    ),
]


def fleet_path(given: Path | None) -> Path:
    """The fleet file: the option, the environment, the working folder's, the user's own."""
    from edgewright.config.home import home

    if given is not None:
        return given
    if os.environ.get("EDGEWRIGHT_FLEET"):
        return Path(os.environ["EDGEWRIGHT_FLEET"]).expanduser()
    here = Path("fleet.toml")
    own = home() / "fleet.toml"
    return own if own.exists() and not here.exists() else here


def input_shapes(given: list[str] | None) -> dict[str, tuple[int, ...]]:
    """`["x=1,32,32,3"]` -> {"x": (1, 32, 32, 3)}.

    Raises:
        UsageError: not of that form.
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
                hint=f"put a number in the place of {', '.join(words)}"
                if words
                else "such as --input-shape image=1,224,224,3",
            )
        shapes[name] = tuple(int(size) for size in sizes)
    return shapes


def conversion(
    inputs: str | None,
    outputs: str | None,
    keep_float: list[str] | None,
    method: str | None,
    integer_io: bool | None,
    signature: str | None = None,
) -> dict[str, object]:
    """What was given of a Conversion's fields, by name; the project file's hold for the others."""
    from edgewright.nouns.conversion import Ends

    given: dict[str, object] = {}
    if inputs or outputs or signature:
        given["ends"] = Ends(inputs=_names(inputs), outputs=_names(outputs), signature=signature or "")
    if keep_float:
        given["keep_float"] = tuple(keep_float)
    if method is not None:
        given["calibration_method"] = method
    if integer_io is not None:
        given["integer_io"] = integer_io
    return given


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def known(what: str, name: str, table: dict[str, T]) -> T:
    """The entry of a table by its name.

    Raises:
        UsageError: there is none of that name; the nearest one is named.
    """
    import difflib

    from edgewright.errors import UsageError

    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(table)}"
        raise UsageError(f"unknown {what}: {name}", hint=hint)
    return table[name]
