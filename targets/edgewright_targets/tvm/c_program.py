"""The C program's part for TVM: it calls the runtime's two libraries, as the runner does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_targets.tvm.runner import ENDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgewright.sdk import CProgram, TensorSpec

# dtype -> the runtime's code for its kind, and its bits
_TYPES = {
    "bool": ("kDLBool", 8),
    **{f"float{bits}": ("kDLFloat", bits) for bits in (16, 32, 64)},
    **{f"int{bits}": ("kDLInt", bits) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": ("kDLUInt", bits) for bits in (8, 16, 32, 64)},
}


def program(folder: Path, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> CProgram:
    """How C runs the artifact in a folder.

    Args:
        inputs, outputs: those of its manifest.

    Raises:
        ConversionError: an input has a dtype that C cannot pass to the runtime.
    """
    from edgewright.sdk import CProgram

    ends = json.loads((folder / ENDS).read_text(encoding="utf-8"))
    return CProgram(
        source=Path(__file__).with_suffix(".c").read_text(encoding="utf-8"),
        constants={
            "FUNCTION": '"main"',
            "INPUT_TYPES": "{" + ", ".join(map(_type, inputs)) + "}",
            "INPUT_PLACES": _places(inputs, ends["inputs"]),
            "OUTPUT_PLACES": _places(outputs, ends["outputs"]),
        },
        libraries=("tvm/lib/libtvm_runtime.so", "tvm_ffi/lib/libtvm_ffi.so"),
    )


def _type(spec: TensorSpec) -> str:
    """The type of an input's numbers, as a C initializer."""
    from edgewright.sdk import ConversionError

    if spec.dtype not in _TYPES:
        raise ConversionError(
            f"input {spec.name!r} is {spec.dtype}, which a C program cannot pass to TVM",
            hint=f"convert a model whose inputs have one of these types: {', '.join(_TYPES)}",
        )
    code, bits = _TYPES[spec.dtype]
    return f"{{{code}, {bits}, 1}}"


def _places(specs: Sequence[TensorSpec], ends: list[dict[str, str]]) -> str:
    """The place of each tensor among those of the compiled function, as a C initializer."""
    names = [end["name"] for end in ends]
    return "{" + ", ".join(str(names.index(spec.bound)) for spec in specs) + "}"
