"""Frozen graphs of TensorFlow 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgewright.compile.inspection import graph_def, unsafe_operators
from edgewright.compile.inspection.model_trust import refuse_untrusted
from edgewright.compile.sources.source_format import Look, Shapes, SourceFormat, described_by, truncated
from edgewright.errors import Code, ModelError
from edgewright.nouns.conversion import Ends

_TITLE = "a frozen TensorFlow 1 graph (.pb)"
_MESSAGE = b"\n"  # the first byte of a message whose first field is a message or text


def look(path: Path, head: bytes) -> Look | None:
    """Recognises a GraphDef without variables."""
    if not head.startswith(_MESSAGE):
        return None
    try:
        found = graph_def.look(path)
    except ValueError:
        return None
    if found is None:
        return None
    if found.unsafe:
        refuse_untrusted(unsafe_operators.refusal(path, found.unsafe))
    if found.variables:
        raise ModelError(
            f"graph is not frozen, it has {len(found.variables)} variables: {path.name}",
            hint="freeze it with tf.compat.v1.graph_util.convert_variables_to_constants, or give a SavedModel",
            code=Code.MODEL_NOT_FROZEN,
        )
    return Look([path], found.quantised)


def damaged(path: Path, head: bytes) -> ModelError | None:
    """The error for a `.pb` file that is truncated or part of a SavedModel; else None."""
    try:
        if head.startswith(_MESSAGE):
            graph_def.look(path)
    except ValueError:
        return truncated(path, _TITLE)
    if not graph_def.is_saved_model(path):
        return None
    return ModelError(
        f"file is part of a SavedModel: {path}",
        hint="give its folder, in which the file is called saved_model.pb",
        code=Code.MODEL_MISNAMED,
    )


def open_model(path: Path, shapes: Shapes, ends: Ends) -> Any:
    """Implements `SourceFormat.open`."""
    from edgewright.compile.sources import graph

    return graph.open_file(path, shapes, ends)


FORMAT = SourceFormat(
    name="frozen",
    title=_TITLE,
    known_as=".pb (frozen)",
    framework="tensorflow",
    tools=("tensorflow",),
    suffixes=(".pb",),
    look=look,
    damaged=damaged,
    open=open_model,
    ends=True,
    exports_onnx=True,
    describe=described_by("edgewright.compile.graph.source_graphs"),
)
