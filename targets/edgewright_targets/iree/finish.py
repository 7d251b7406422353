"""Compiles fp32 ONNX to machine code for the CPU of a board, and for this machine's if it cannot run that."""

from __future__ import annotations

import json
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_targets.iree.compiled_source import FILE
from edgewright_targets.iree.run_compiler import compiled, imported
from edgewright_targets.iree.target import RELEASE, release

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgewright.sdk import StageContext, StageResult

ENDS = "ends.json"  # names, types and shapes of inputs and outputs, in the compiled function's order: the module has none


def convert(work: StageContext) -> StageResult:
    """Makes `model.vmfb` and `ends.json`.

    Raises:
        ConversionError: IREE cannot compile an operator, which the error names; or the compiler crashed.
        UsageError: integer inputs and outputs, which this target lacks; or an unknown layer.
    """
    from edgewright.sdk import UsageError
    from edgewright_targets._onnx.finish import refuse_large
    from edgewright_targets._onnx.prepare_for_quantization import refuse_classical
    from edgewright_targets._onnx.static_graph import static

    if work.integer_io:
        raise UsageError("iree keeps floats at inputs and outputs", hint="leave --integer-io out")
    refuse_large(work)
    method, kept, notes = "", list[str](), list[str]()
    with static(work) as model:
        refuse_classical(model, "IREE")
        if work.traits.calibrated:
            from edgewright_targets._onnx.quantize_static import quantise

            model, method, kept, notes = quantise(work)
    _compile(model, work)
    return {
        **_ends(model),
        "requires": {RELEASE: release(metadata.version("iree-base-compiler"))},
        "method": method,
        "kept_float": kept,
        "notes": notes,
    }


def _compile(model: ModelProto, work: StageContext) -> None:
    """Writes the artifact's files, and those that stay on this machine."""
    from edgewright_targets._onnx.files import save

    assert work.cpu is not None  # noqa: S101 - for the type: the target compiles for one
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        source = Path(scratch) / "model.onnx"
        save(model, source)
        code = imported(source, model)
        (work.folder / ENDS).write_text(json.dumps(_ends(model), sort_keys=True) + "\n")
        compiled(code, work.cpu, model, work.folder / work.entry)
        if work.twin is not None:
            work.twin_folder.mkdir(parents=True)
            shutil.copy(work.folder / ENDS, work.twin_folder)
            compiled(code, work.twin, model, work.twin_folder / work.entry)
        work.host_folder.mkdir(exist_ok=True)
        shutil.move(source, work.host_folder / FILE)


def _ends(model: ModelProto) -> StageResult:
    """Names and types of inputs and outputs, in the graph's order."""
    from onnx import helper

    weights = {item.name for item in model.graph.initializer}
    kinds = ("inputs", "outputs")
    rows = ([item for item in model.graph.input if item.name not in weights], model.graph.output)
    found: StageResult = {}
    for kind, items in zip(kinds, rows, strict=True):
        found[kind] = [  # type: ignore[literal-required] # both are lists of TensorReport
            {
                "name": item.name,
                "dtype": helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type).name,
            }
            for item in items
        ]
    return found
