"""Translates the NCS2 plugin's report on each layer, which works on the host without a stick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgewright.sdk import Precision

_SHOWN = 20  # names of layers in one line


def check_precision(accelerator: str, traits: Precision) -> None:
    """Raises ConversionError if a model for the stick is not fp16."""
    from edgewright.sdk import Code, ConversionError

    if accelerator == "myriad" and not traits.half:
        raise ConversionError(
            f"the neural compute stick computes in fp16 only: {traits.name}",
            hint="--precision fp16",
            code=Code.ACCELERATOR_UNSUPPORTED,
        )


def causes(found: dict[str, Any], traits: Precision) -> dict[str, str]:
    """Why the stick refuses the artifact, as in a manifest's `causes`; empty if it runs there, or if the plugin cannot tell.

    Args:
        found: the result of `toolchain_program.describe`.
    """
    line, fits = _line(found)
    if "problem" not in found and not fits:
        return {"myriad": line}
    return (
        {} if traits.half else {"myriad": f"the stick computes in fp16 only, the artifact is {traits.name}"}
    )


def reading(found: dict[str, Any], opset: int, shapes: dict[str, tuple[int, ...]]) -> str:
    """A note on what the stick's plugin was given: shapes of the inputs, the ONNX opset that was converted, and how many layers."""
    fixed = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
    return f"the stick's plugin was asked about {len(found['layers'])} layers: static shapes {fixed}; ONNX opset {opset}"


def notes(found: dict[str, Any], accelerator: str) -> list[str]:
    """Lines for the manifest.

    Args:
        found: the result of `toolchain_program.describe`.
        accelerator: the one that the model has to run on, or empty.

    Raises:
        ConversionError: it has to run on the stick, and some layer cannot.
    """
    from edgewright.sdk import Code, ConversionError

    line, fits = _line(found)
    if accelerator == "myriad" and not fits:
        raise ConversionError(
            f"the model cannot run on the neural compute stick: {line}",
            hint="replace those layers, or leave the accelerator out and it runs on the CPU",
            code=Code.ACCELERATOR_UNSUPPORTED,
        )
    return [f"myriad: {line}"]


def _line(found: dict[str, Any]) -> tuple[str, bool]:
    """(the note, whether all layers run there)."""
    if "problem" in found:
        return f"its plugin cannot tell: {found['problem']}", False
    layers = found["layers"]
    lacking = [name for name in layers if name not in set(found["myriad"])]
    if not lacking:
        return f"all {len(layers)} layers run there", True
    listed = ", ".join(f"{name} ({layers[name]})" for name in lacking[:_SHOWN])
    more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
    return f"{len(lacking)} of {len(layers)} layers do not run there: {listed}{more}", False
