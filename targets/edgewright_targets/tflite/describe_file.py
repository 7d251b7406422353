"""Describes a .tflite file. Host side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgewright_targets.tflite.graph import operators

if TYPE_CHECKING:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    from edgewright.sdk import StageContext, StageResult, TensorReport
    from edgewright_targets.tflite.graph import Operator

    Array = np.ndarray[Any, Any]


def described(
    work: StageContext,
    method: str,
    *,
    requires: dict[str, int] | None = None,
    kept_float: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> StageResult:
    """The last stage's result: names and dtypes in the file, in the source's order, which `name_ends` established.

    Args:
        requires: operator -> version that it needs, whatever the file states.

    Raises:
        ConversionError: `custom-operators`, some operators are not the runtime's own.
    """
    path = work.folder / work.entry
    found = operators(path.read_bytes())
    refuse_custom(found, path.name)
    interpreter = plain_interpreter(path.read_bytes())
    needed = versions(found)
    for kind, version in (requires or {}).items():
        needed[kind] = max(version, needed.get(kind, version))
    return {
        "inputs": [_spec(detail) for detail in interpreter.get_input_details()],
        "outputs": [_spec(detail) for detail in interpreter.get_output_details()],
        "requires": needed,
        "method": method,
        "kept_float": [*kept_float],
        "notes": [*notes],
    }


def plain_interpreter(data: bytes, **options: Any) -> Interpreter:
    """An interpreter without delegates."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(model_content=data, experimental_op_resolver_type=kind, **options)


def versions(found: list[Operator]) -> dict[str, int]:
    """{builtin operator: greatest version} of Operators."""
    greatest: dict[str, int] = {}
    for operator in found:
        if not operator.custom:
            greatest[operator.kind] = max(greatest.get(operator.kind, 1), operator.version)
    return greatest


def refuse_custom(found: list[Operator], name: str) -> None:
    """Raises ConversionError if an operator is not the runtime's own: no board could run the file."""
    from edgewright.sdk import Code, ConversionError

    custom = sorted({operator.kind for operator in found if operator.custom})
    if custom:
        flex = any(kind.startswith("Flex") for kind in custom)
        raise ConversionError(
            f"{name} needs operators that LiteRT does not have: {', '.join(custom)}",
            hint="Flex operators are TensorFlow's own: replace those layers"
            if flex
            else "replace those layers",
            code=Code.CUSTOM_OPERATORS,
        )


def _spec(detail: dict[str, Any]) -> TensorReport:
    import numpy

    one = detail["quantization_parameters"]["scales"].size == 1
    scale, zero = detail["quantization"]
    return {
        "name": detail["name"],
        "dtype": numpy.dtype(detail["dtype"]).name,
        "scale": float(scale) if one else None,
        "zero_point": int(zero) if one else None,
    }
