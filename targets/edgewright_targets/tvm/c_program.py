"""The C program's part for TVM: it calls the runtime's two libraries, as the runner does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_targets.tvm.runner import ENDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgewright.sdk import CProgram, TensorSpec


def program(folder: Path, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> CProgram:
    """How C runs the artifact in a folder.

    Args:
        inputs, outputs: those of its manifest.
    """
    from edgewright.sdk import CProgram

    ends = json.loads((folder / ENDS).read_text())
    return CProgram(
        source=Path(__file__).with_suffix(".c").read_text(),
        constants={
            "FUNCTION": '"main"',
            "INPUT_PLACES": _places(inputs, ends["inputs"]),
            "OUTPUT_PLACES": _places(outputs, ends["outputs"]),
        },
        libraries=("tvm/lib/libtvm_runtime.so", "tvm_ffi/lib/libtvm_ffi.so"),
    )


def _places(specs: Sequence[TensorSpec], ends: list[dict[str, str]]) -> str:
    """The place of each tensor among those of the compiled function, as a C initializer."""
    names = [end["name"] for end in ends]
    return "{" + ", ".join(str(names.index(spec.bound)) for spec in specs) + "}"
