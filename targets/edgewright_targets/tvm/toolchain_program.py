"""Runs in the Python of the toolchain `apache-tvm`: compiles an ONNX file to object files. The standard library, onnx and TVM only."""

from __future__ import annotations

import json
import math
import shutil
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

_ACROSS, _SUM = 0, 2  # kinds of loops as TVM numbers them
_FOR_THREADS = 1 << 15  # multiplications that take longer than it takes to start threads
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
    from tvm import relax, tirx
    from tvm.relax.frontend.onnx import from_onnx
    from tvm.target import Target

    cpu = Target(target)
    with cpu:
        module = relax.get_pipeline("zero")(from_onnx(onnx.load(source)))
    for name, function in list(module.functions_items()):
        if isinstance(function, tirx.PrimFunc):
            module[name] = reordered(function)
    compiled = tvm.compile(module, target=cpu)
    folder.mkdir()

    def keep(_: str, files: list[str], **_more: object) -> None:
        objects = [one for one in files if one.endswith(".o")]
        if not objects:  # of a graph that only passes its inputs through, TVM writes C
            raise ValueError("it computes nothing")
        for place, one in enumerate(objects):
            shutil.copy(one, folder / f"{place}.o")

    compiled.export_library(str(folder / "model.so"), fcompile=keep)


def reordered(function: Any) -> Any:
    """A function whose sums run over rows of outputs instead of one output after another, for vectors and threads.

    TVM leaves that to tuning on a board, and makes code without it that takes five times as long (SqueezeNet on x86).
    """
    from tvm import s_tir

    schedule = s_tir.Schedule(function)
    for block in schedule.get_child_blocks(schedule.get_sblock("root")):
        kinds = [int(one.iter_type) for one in schedule.get(block).iter_vars]
        loops = schedule.get_loops(block)
        extents = [getattr(schedule.get(loop).extent, "value", None) for loop in loops]
        if len(loops) == len(kinds) and set(kinds) == {_ACROSS, _SUM} and None not in extents:
            _reorder(schedule, block, kinds, [int(one) for one in extents if one is not None])
    return schedule.mod["main"]


def _reorder(schedule: Any, block: Any, kinds: list[int], extents: list[int]) -> None:
    """Moves the last loop over outputs inside the loops that sum, and runs those outside of them by several threads if that pays."""
    loops = schedule.get_loops(block)
    wide = [place for place, kind in enumerate(kinds) if kind == _ACROSS and extents[place] > 1]
    if not wide:
        return
    outer = [loop for place, loop in enumerate(loops) if kinds[place] == _ACROSS and place != wide[-1]]
    sums = [loop for place, loop in enumerate(loops) if kinds[place] == _SUM]
    schedule.reorder(*outer, *sums, loops[wide[-1]])
    if outer and math.prod(extents) >= _FOR_THREADS:
        schedule.parallel(schedule.fuse(*outer))
    schedule.decompose_reduction(block, sums[0])


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
