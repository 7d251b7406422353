"""Reads the ONNX that an artifact was compiled from, which stays on the machine that compiled it. Host side, in the `onnx` worker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgewright.sdk.graphs import Tail

FILE = "compiled.onnx"  # in the host's folder


def tails(path: Path, outputs: list[str]) -> list[Tail | None]:
    """How finely outputs are quantised: a `Tail`, or None, for each named output. Errors as in `_source`."""
    from edgewright_targets._onnx import quantization_steps

    return quantization_steps.tails(_source(path), outputs)


def shipped(path: Path) -> list[dict[str, Any]]:
    """Rows of the operations that were compiled. Errors as in `_source`."""
    from edgewright_targets._onnx import explain

    return explain.shipped(_source(path))


def executed(path: Path) -> list[dict[str, Any]] | None:  # noqa: ARG001 - every target has the same functions
    """None: machine code has no operations."""
    return None


def _source(path: Path) -> Path:
    """The file beside the artifact.

    Raises:
        ConversionError: the artifact was compiled on another machine.
    """
    from edgewright.sdk import ConversionError
    from edgewright.sdk.machine_code import HOST

    found = Path(path).parent / HOST / FILE
    if not found.is_file():
        raise ConversionError("the artifact was compiled on another machine", hint="convert the model here")
    return found
