"""What targets that compile ONNX to machine code have in common: the files of an artifact, and those that stay on this machine."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_targets._onnx.compiled_source import FILE

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgewright.sdk import Cpu, StageContext, StageResult

ENDS = "ends.json"  # names and types of inputs and outputs, in the compiled function's order: machine code has none


def graph(work: StageContext, target: str) -> tuple[ModelProto, StageResult]:
    """The graph to compile, quantised if the precision is, and the part of the stage's result that is known of it.

    Args:
        target: its name, for errors.

    Raises:
        ConversionError: the model is too large for one file, or a classical one.
        UsageError: integer inputs and outputs, which such targets lack; or an unknown layer.
    """
    from edgewright.sdk import UsageError
    from edgewright_targets._onnx.finish import refuse_large
    from edgewright_targets._onnx.prepare_for_quantization import refuse_classical
    from edgewright_targets._onnx.static_graph import static

    if work.integer_io:
        raise UsageError(f"{target} keeps floats at inputs and outputs", hint="leave --integer-io out")
    refuse_large(work)
    method, kept, notes = "", list[str](), list[str]()
    with static(work) as model:
        refuse_classical(model, target)
        if work.traits.calibrated:
            from edgewright_targets._onnx.quantize_static import quantise

            model, method, kept, notes = quantise(work)
    return model, {**ends(model), "method": method, "kept_float": kept, "notes": notes}


def write(
    model: ModelProto, work: StageContext, compiled: Callable[[Path, list[tuple[Cpu, Path]]], None]
) -> None:
    """Writes the artifact's files, and those that stay on this machine.

    Args:
        compiled: compiles an ONNX file, in a folder that it may use, for CPUs: to each belongs the file to write.
    """
    from edgewright_targets._onnx.files import save

    assert work.cpu is not None  # noqa: S101 - for the type: the target compiles for one
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        source = Path(scratch) / "model.onnx"
        save(model, source)
        wanted = [(work.cpu, work.folder / work.entry)]
        if work.twin is not None:
            work.twin_folder.mkdir(parents=True)
            wanted.append((work.twin, work.twin_folder / work.entry))
        for _, made in wanted:
            made.with_name(ENDS).write_text(json.dumps(ends(model), sort_keys=True) + "\n")
        compiled(source, wanted)
        work.host_folder.mkdir(exist_ok=True)
        shutil.move(source, work.host_folder / FILE)


def ends(model: ModelProto) -> StageResult:
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


def node_named(model: ModelProto, kind: str, place: int) -> str:
    """The node of a kind that is at a place among its like, such as `Foo (foo_1)`; the kind alone if there is none."""
    nodes = [node for node in model.graph.node if node.op_type == kind][place : place + 1]
    return f"{kind} ({nodes[0].name or nodes[0].output[0]})" if nodes else kind
