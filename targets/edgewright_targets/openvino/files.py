"""Writes and describes IR files. Host side."""

from __future__ import annotations

import itertools
import re
from re import Match
from typing import TYPE_CHECKING, Any

from edgewright_targets.openvino.ports import output_names

if TYPE_CHECKING:
    from openvino import Model, Output

    from edgewright.sdk import StageContext, StageResult, TensorReport


def strip(model: Model, own: frozenset[Any] | set[str] = frozenset()) -> None:
    """Removes metadata about tools and their runs, so that the same model gives the same bytes.

    Args:
        own: names from `own_names`, which users know and which stay; others are renumbered.
    """
    for key in list(model.get_rt_info()):
        if key != "runtime_options":
            model.set_rt_info("", key)
    numbers, free = {}, itertools.count()

    def numbered(found: Match[str]) -> str:
        kind = found[0].rsplit("_", 1)[0]
        if found[0] not in numbers:
            numbers[found[0]] = next(number for number in free if f"{kind}_{number}" not in own)
        return f"{kind}_{numbers[found[0]]}"

    for operation in model.get_ordered_ops():
        name = operation.get_friendly_name()
        start = 0 if name == operation.get_name() else len(given(name, own))
        rest = re.sub(r"\b[A-Z][A-Za-z0-9]*_\d+", numbered, name[start:])
        operation.set_friendly_name(name[:start] + rest)


def given(name: str, own: frozenset[Any] | set[str]) -> str:
    """The leading part of an operation's name that comes from the source; empty if there is none."""
    parts = name.split("/")
    heads = ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((head for head in heads if head in own), "")


def own_names(work: StageContext) -> set[str]:
    """Names in the source, or in the ONNX file that was made from it."""
    if work.source is not None:
        return {one.get_friendly_name() for one in work.source.model.get_ops()}
    path = work.path / "model.onnx"
    if not path.is_file():
        return set()
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    names = {name for node in graph.node for name in (node.name, *node.input, *node.output)}
    return names - {""}


def described(work: StageContext, method: str) -> StageResult:
    """The result: names and dtypes in the file, the IR version, and the newest opset that it really contains."""
    import openvino as ov

    path = work.folder / work.entry
    model = ov.Core().read_model(str(path))
    text = path.read_bytes()
    version = int(re.findall(rb'<net [^>]*version="(\d+)"', text)[0])
    opset = max(map(int, re.findall(rb'<layer [^>]*version="opset(\d+)"', text)), default=1)

    def spec(port: Output, name: str) -> TensorReport:
        return {"name": name, "dtype": port.get_element_type().to_dtype().name}

    def ordered(ports: list[Output], names: list[str]) -> list[TensorReport]:
        by_name = {name: port for port in ports for name in port.get_names()}
        return [spec(by_name[name], name) for name in names]

    return {
        "inputs": ordered(model.inputs, [item.name for item in work.inputs]),
        "outputs": ordered(model.outputs, output_names(work)),
        "requires": {"ir": version, "ir_opset": opset},
        "method": method,
    }
