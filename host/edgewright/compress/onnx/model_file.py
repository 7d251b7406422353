"""Opens an ONNX file as a graph that can be compressed, and writes it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, NamedTuple

from edgewright import targets
from edgewright.compile.inspection import lineage_file
from edgewright.compile.sources import onnx as sources
from edgewright.compile.sources.onnx_ends import fed
from edgewright.errors import Code, ModelError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.conversion import Ends


class OnnxFile(NamedTuple):
    """An opened file.

    Attributes:
        model: the ModelProto with all weights in it: a batch of 1, functions inlined, and a unique name for each node.
        declared: the inputs and outputs (ValueInfoProtos) as the file declares them, with a batch that may be open.
    """

    model: Any
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]
    declared: tuple[list[Any], list[Any]]


def open_file(path: Path) -> OnnxFile:
    """Opens an ONNX file.

    Raises:
        ModelError: it does not load, is too large to hold in memory in one piece, has an open size besides its batch, or takes several samples
            at a time.
    """
    import onnx

    try:
        opened = sources.open_model(path, "onnx", {}, Ends())
    except ModelError as error:
        if error.code == Code.DYNAMIC_SHAPE:
            error.hint = "export it with fixed sizes: only the batch may be open"
        raise
    if opened.large:
        raise ModelError(
            f"{path.name} is too large to compress: its weights take more than 2 GiB",
            hint="make it smaller where it was trained",
            code=Code.MODEL_TOO_LARGE,
        )
    for spec in opened.inputs:
        if spec.shape[:1] != (1,):
            raise ModelError(
                f"input {spec.name} of {path.name} has no batch of 1 as its first axis: its shape is {spec.shape}",
                hint="export the model with a batch of 1, or with an open batch",
            )
    raw = onnx.load(str(path), load_external_data=False)
    model = _named(opened.model)
    return OnnxFile(model, opened.inputs, tuple(opened.output_names), (fed(raw), list(raw.graph.output)))


def save(model: Any, declared: tuple[list[Any], list[Any]], file: Path) -> None:
    """Writes a model with its inputs and outputs as they were declared. A lineage that the source had is left out: the host writes the new one."""
    made = type(model)()
    made.CopyFrom(model)
    kept = [item for item in made.metadata_props if item.key != lineage_file.NAME]
    del made.metadata_props[:]
    made.metadata_props.extend(kept)
    for items, wanted in zip((made.graph.input, made.graph.output), declared, strict=True):
        by_name = {item.name: item for item in wanted}
        for item in items:
            if item.name in by_name:
                item.CopyFrom(by_name[item.name])
    file.write_bytes(made.SerializeToString(deterministic=True))


def _named(model: Any) -> Any:
    """The model with a unique name for each node, as conversions give them."""
    module = importlib.import_module(targets.module_name("_onnx.prepare_for_quantization"))
    return module.named(model)
