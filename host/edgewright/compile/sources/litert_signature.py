"""Makes one function of a .tflite file its first subgraph, which is the one that runtimes open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgewright.compile.inspection import tflite_file
from edgewright.compile.sources import tflite_writer
from edgewright.compile.sources.signatures import Signature, choose
from edgewright.errors import Code, ModelError

_NUMBERED = re.compile(r"(?i)subgraph(index|indices)$")  # option fields that hold subgraph indexes


def chosen(path: Path, wanted: str) -> tuple[str, int, tuple[str, ...]]:
    """(name, subgraph, notes) of the chosen signature; of the first subgraph if the file has no signatures."""
    known = tflite_file.look(path).signatures
    if not known and not wanted:
        return "", 0, ()
    signature, notes = choose(path, [Signature(one.name, one.inputs, one.outputs) for one in known], wanted)
    subgraph = next(one.subgraph for one in known if one.name == signature.name)
    return signature.name, subgraph, notes


def narrowed(path: Path, name: str, place: Path) -> Path:
    """Writes the file with only that signature's function: its subgraph comes first, followed by those that it calls.

    Raises:
        ModelError: its weights are stored outside of the flatbuffer.
    """
    schema, model = tflite_writer.read(path.read_bytes())
    if model is None:
        raise ModelError(
            f"weights of {path.name} lie outside of its flatbuffer, so signature {name} cannot be taken out of it",
            hint="export that signature alone",
            code=Code.MODEL_REFUSED,
        )
    (signature,) = (one for one in model.signatureDefs if one.signatureKey.decode() == name)
    kept = _called(model.subgraphs, signature.subgraphIndex)
    model.subgraphs = [model.subgraphs[index] for index in kept]
    for options, field in _references(model.subgraphs):
        _renumber(options, field, kept)
    signature.subgraphIndex = 0
    model.signatureDefs = [signature]
    model.metadata, model.metadataBuffer = (
        [],
        [],
    )  # they may refer to buffers and tensors of removed subgraphs
    _drop_unused(model)
    made = place / path.name
    made.write_bytes(tflite_writer.packed(schema, model))
    return made


def _called(graphs: list[Any], first: int) -> list[int]:
    """Indexes of a subgraph and of those that it calls, starting with the subgraph itself."""
    found, waiting = [], [first]
    while waiting:
        index = waiting.pop(0)
        if index in found:
            continue
        found.append(index)
        for options, field in _references([graphs[index]]):
            waiting += [number for number in _numbers(options, field) if number >= 0]
    return found


def _references(graphs: list[Any]) -> Iterator[tuple[Any, str]]:
    """(options, field name) wherever an operator refers to subgraphs by index."""
    for operator in (operator for graph in graphs for operator in graph.operators or ()):
        for options in filter(None, (operator.builtinOptions, operator.builtinOptions2)):
            yield from ((options, field) for field in vars(options) if _NUMBERED.search(field))
            if type(options).__name__ == "CallOptionsT":
                yield options, "subgraph"


def _numbers(options: Any, field: str) -> list[int]:
    import numpy as np

    given = getattr(options, field)
    return [] if given is None else [int(number) for number in np.atleast_1d(given)]


def _renumber(options: Any, field: str, kept: list[int]) -> None:
    import numpy as np

    found = [kept.index(number) if number >= 0 else number for number in _numbers(options, field)]
    setattr(options, field, found if np.ndim(getattr(options, field)) else found[0])


def _drop_unused(model: Any) -> None:
    """Removes the buffers and operator codes that are no longer used. Buffer 0 stands for "no buffer"."""
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    buffers = sorted({0, *(tensor.buffer for tensor in tensors)})
    for tensor in tensors:
        tensor.buffer = buffers.index(tensor.buffer)
    model.buffers = [model.buffers[index] for index in buffers]
    operators = [operator for graph in model.subgraphs for operator in graph.operators or ()]
    codes = sorted({operator.opcodeIndex for operator in operators})
    for operator in operators:
        operator.opcodeIndex = codes.index(operator.opcodeIndex)
    model.operatorCodes = [model.operatorCodes[index] for index in codes]
