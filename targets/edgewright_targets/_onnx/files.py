"""Writes, copies and describes .onnx files. Host side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto, ValueInfoProto

    from edgewright.sdk import StageContext, StageResult, TensorReport


LARGE = (
    2**31 - 2**27
)  # total bytes: any closer to 2 GiB, a protocol buffer cannot hold the model in one piece

# the runtime's own operators, and the first minor version that computes them correctly:
# 1.16 knows MatMulNBits but computes something else
_CONTRIB = {"MatMulNBits": 17}
_CONTRIB_16_BITS = 17  # for 16-bit QuantizeLinear and DequantizeLinear in that domain
_OWN = "com.microsoft"
_INTEGERS_OF_21 = ("INT16", "UINT16", "INT4", "UINT4")


def save(model: ModelProto, path: Path) -> None:
    """Saves deterministically, at the lowest IR version that the opset allows, as old runtimes need it."""
    from onnx import helper

    from edgewright_targets._onnx.prepare_for_quantization import used_domains

    used_domains(model)
    least = helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)
    model.ir_version = max(least, 7)
    del model.metadata_props[:], model.graph.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    for item in [*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info]:
        item.doc_string = ""
        del item.metadata_props[:]  # exporters leave paths of the developer's machine there
    path.write_bytes(model.SerializeToString(deterministic=True))


def external(model: ModelProto) -> list[Any]:
    """Relative paths of the model's weight files, sorted; none for a model in one piece."""
    from edgewright.sdk.onnx import every_tensor

    return sorted(
        {
            entry.value
            for tensor in every_tensor(model)
            for entry in tensor.external_data
            if entry.key == "location"
        }
    )


def beside(model: ModelProto, folder: Path, destination: Path) -> None:
    """Provides in `destination` the weight files that the model in `folder` refers to, if possible without copying."""
    for location in external(model):
        place = destination / location
        place.parent.mkdir(parents=True, exist_ok=True)
        share(folder / location, place)


def share(source: Path, destination: Path) -> None:
    """Provides the same bytes under another name: a link between two stages of one conversion, else a copy."""
    import os

    from edgewright.sdk.onnx import sparse

    if source.parent.parent == destination.parent.parent:
        try:
            os.link(source, destination)
            return
        except OSError:
            pass
    sparse.copy(source, destination)


def described(work: StageContext, method: str, notes: tuple[str, ...] = ()) -> StageResult:
    """The result: names and dtypes, and what the file really contains (opset, IR version, the runtime's own operators)."""
    import onnx
    from onnx import helper

    model = onnx.load(str(work.folder / work.entry), load_external_data=False)
    weights = {item.name for item in model.graph.initializer}

    def spec(item: ValueInfoProto) -> TensorReport:
        dtype = helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type).name
        return {"name": item.name, "dtype": dtype}

    return {
        "inputs": [spec(item) for item in model.graph.input if item.name not in weights],
        "outputs": [spec(item) for item in model.graph.output],
        "requires": requires(model),
        "method": method,
        "notes": list(notes),
    }


def requires(model: ModelProto) -> dict[str, int]:
    """What a runtime must be able to read, as in a manifest: `opset`, `ir`, and if used `ml` and `contrib`."""
    from edgewright_targets._onnx.prepare_for_quantization import every_node

    found = {"ir": model.ir_version}
    for item in model.opset_import:
        if item.domain in ("", "ai.onnx"):
            found["opset"] = max(found.get("opset", 0), item.version)
        if item.domain == "ai.onnx.ml":
            found["ml"] = item.version
    kinds = {item.name: _kind(item) for item in model.graph.initializer}
    for node in every_node(model):
        if node.domain == _OWN:
            least = _CONTRIB.get(node.op_type, 0)
            if any(kinds.get(name) in _INTEGERS_OF_21 for name in node.input):
                least = _CONTRIB_16_BITS
            if least:
                found["contrib"] = max(found.get("contrib", 0), least)
    return found


def _kind(tensor: TensorProto) -> str:
    from onnx import TensorProto

    return str(TensorProto.DataType.Name(tensor.data_type))
