"""Runs the program `pnnx`, which converts ONNX to ncnn's files.

Its exit status is 0 whatever happened: an operator that it does not know stays in the file under its own name, and a
parameter that it cannot express is left out. Both are in what it prints and in the file, and are refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgewright_targets.ncnn import param_file
from edgewright_targets.ncnn.param_file import Layer

if TYPE_CHECKING:
    from edgewright.sdk import ConversionError

_IGNORED = re.compile(r"^ignore (?P<kind>\S+) (?P<name>\S+) param ", re.MULTILINE)
_COMPLAINT = re.compile(r"not supported|unsupported|\bfailed\b|\berror\b", re.IGNORECASE)
_LOG_OF_RUNTIME = re.compile(r"\[[WI]:onnxruntime")  # warnings of the ONNX Runtime inside pnnx
_INPUT = re.compile(r'ex\.input\("(?P<name>\w+)", ncnn\.Mat\(.*?batch_index=(?P<axis>\d+)\)')
_KEPT = 233  # pnnx's number for "no batch axis"
_WORDS = {  # pnnx's words for operators of ONNX, where they differ
    "to": "Cast", "gt": "Greater", "lt": "Less", "ge": "GreaterOrEqual", "le": "LessOrEqual", "eq": "Equal",
    "scatter": "ScatterElements",
}  # fmt: skip
_EXPRESSION = "pnnx.Expression"  # arithmetic that feeds an operator which pnnx does not know
_HINT = "write it with other operators, or take another target, such as --target onnxruntime"


class Written(NamedTuple):
    """What pnnx wrote.

    Attributes:
        layers: of the `.param`.
        weights: path of the `.bin`.
        batch_axes: input -> the axis that ncnn does not have; None if it has all axes.
    """

    layers: list[Layer]
    weights: Path
    batch_axes: dict[str, int | None]


def program() -> Path:
    """The path of the program. Raises ConversionError if it is not installed."""
    from importlib.util import find_spec

    from edgewright.sdk import Code, ConversionError

    spec = find_spec("pnnx")  # the package itself would import torch
    if spec is None or not spec.origin:
        raise ConversionError(
            "pnnx is not installed",
            hint="install it: pip install 'edgewright[ncnn]'",
            code=Code.CONVERSION_FAILED,
        )
    return Path(spec.origin).with_name("pnnx")


def converted(
    source: Path, half: bool, knows: Callable[[str], bool], operators: dict[str, list[str]]
) -> Written:
    """Converts an ONNX file, and writes the results next to it.

    Args:
        half: store weights in 16 bits.
        knows: whether ncnn has a layer of this kind.
        operators: kind of operator -> names of the source's nodes.

    Raises:
        ConversionError: pnnx crashed, wrote no or incomplete files, or cannot convert an operator, which the error names.
    """
    from edgewright.sdk.programs import run_converter

    command: list[Path | str] = [program(), source.name, f"fp16={int(half)}"]
    done = run_converter("pnnx", command, source.parent)
    text, status = done.stdout, done.returncode
    print(text)  # noqa: T201 - a worker's stdout is its log
    param, weights = (source.with_name(f"{source.stem}.ncnn.{kind}") for kind in ("param", "bin"))
    if status or not (param.is_file() and weights.is_file()):
        ended = f"it crashed (signal {-status})" if status < 0 else f"exit status {status}"
        raise _failed(_complaint(text) or ended, operators)
    layers = param_file.read(param)
    _refuse_unknown(layers, {match["name"] for match in _IGNORED.finditer(text)}, knows, operators)
    if complaint := _complaint(text):
        raise _failed(complaint, operators)
    script = source.with_name(f"{source.stem}_ncnn.py").read_text("utf-8")
    found = {match["name"]: int(match["axis"]) for match in _INPUT.finditer(script)}
    axes = {name: None if axis == _KEPT else axis for name, axis in found.items()}
    return Written(layers, weights, axes)


def _complaint(text: str) -> str:
    """The first line that reports an error; empty if there is none."""
    lines = (line.strip() for line in text.splitlines() if not _LOG_OF_RUNTIME.search(line))
    return next((line[:300].rstrip("!.") for line in lines if _COMPLAINT.search(line)), "")


def _failed(reason: str, operators: dict[str, list[str]]) -> ConversionError:
    """The error for a run that failed; it names the operators that the reason names."""
    from edgewright.sdk import Code, ConversionError

    words = {word.lower() for word in re.findall(r"\w+", reason)}
    named = [_titled(kind, operators) for kind in sorted(operators) if kind.lower() in words]
    where = f", in {', '.join(named)}" if named else ""
    return ConversionError(
        f"pnnx cannot convert the model: {reason}{where}",
        hint="take another target, such as --target onnxruntime",
        code=Code.CONVERSION_FAILED,
    )


def _refuse_unknown(
    layers: list[Layer], ignored: set[str], knows: Callable[[str], bool], operators: dict[str, list[str]]
) -> None:
    from edgewright.sdk import Code, ConversionError

    lost = [layer for layer in layers if layer.name in ignored or not knows(layer.kind)]
    kinds = sorted({layer.kind for layer in lost})
    kinds = [kind for kind in kinds if kind != _EXPRESSION] or kinds
    if kinds:
        raise ConversionError(
            f"pnnx cannot convert operators of this model to ncnn: {', '.join(_titled(kind, operators) for kind in kinds)}",
            hint=_HINT,
            code=Code.OPERATOR_UNKNOWN,
        )


def _titled(kind: str, operators: dict[str, list[str]]) -> str:
    """A kind of layer with the source's nodes of that kind: pnnx may have its own word for it, such as `torch.where` for Where."""
    word = kind.rpartition(".")[2].lower()
    own = next((name for name in operators if name.lower() == _WORDS.get(word, word).lower()), None)
    return f"{own} ({', '.join(operators[own][:3])})" if own else kind
