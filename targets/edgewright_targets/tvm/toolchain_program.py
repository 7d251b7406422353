"""Runs in the Python of the toolchain `tvm`: compiles an ONNX file to object files. The standard library, onnx and TVM only."""

from __future__ import annotations

import json
import shutil
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

FAILURE = "failure.json"
_UNSUPPORTED = "operators are not supported for frontend ONNX: "
_IMPORTS_NODES = ("_construct_nodes", "_convert_subgraph")  # functions of the importer with a variable `node`


def main(source: str, wanted: dict[str, dict[str, Any]]) -> int:
    """Compiles an ONNX file for CPUs, or writes why it cannot.

    Args:
        wanted: name of a new folder, beside the file -> the target as TVM describes it.
    """
    place = Path(source).parent
    try:
        for folder, target in wanted.items():
            compile_for(source, place / folder, target)
    except Exception as error:  # noqa: BLE001 - the compiler raises anything; the host has to hear of it
        traceback.print_exc()
        (place / FAILURE).write_text(json.dumps({"what": str(error), "node": node_of(source, error)}))
        return 1
    return 0


def compile_for(source: str, folder: Path, target: dict[str, Any]) -> None:
    """Writes the object files of a model into a new folder, in the order in which they are linked."""
    import onnx
    import tvm
    from tvm.relax.frontend.onnx import from_onnx
    from tvm.target import Target

    compiled = tvm.compile(from_onnx(onnx.load(source)), target=Target(target))
    folder.mkdir()

    def keep(_: str, objects: list[str]) -> None:
        for place, one in enumerate(objects):
            shutil.copy(one, folder / f"{place}.o")

    compiled.export_library(str(folder / "model.so"), fcompile=keep)


def node_of(source: str, error: BaseException) -> dict[str, Any] | None:
    """The node that an error of the importer is about, as `{"kind": ..., "place": its place among its like}`; None if it is about none."""
    import onnx

    nodes = list(onnx.load(source, load_external_data=False).graph.node)
    kind, place = "", 0
    if _UNSUPPORTED in str(error):
        kinds = set(str(error).rpartition(_UNSUPPORTED)[2].strip().split(", "))
        kind = next((node.op_type for node in nodes if node.op_type in kinds), "")
    else:
        kind, output = imported_last(error.__traceback__)
        like = [list(node.output) for node in nodes if node.op_type == kind]
        place = like.index(output) if output in like else len(like)  # in a branch
    return {"kind": kind, "place": place} if kind else None


def imported_last(trace: TracebackType | None) -> tuple[str, list[str]]:
    """(kind, outputs) of the node at which the importer failed; an empty kind if it did not."""
    found: tuple[str, list[str]] = ("", [])
    while trace is not None:
        node = trace.tb_frame.f_locals.get("node")
        if trace.tb_frame.f_code.co_name in _IMPORTS_NODES and node is not None:
            found = (node.op_type, list(node.output))
        trace = trace.tb_next
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2])))
