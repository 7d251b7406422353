"""Refuses inputs and outputs that are not tensors of numbers, before the model runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from edgewright.errors import Code, ModelError

# the frameworks' names of operators whose result length depends on the data
_SUPPRESSING = re.compile(r"(?i)\w*(non_?max_?suppression|nms|detection_?(post_?process|output))\w*")
_SELECTING = re.compile(r"(?i:non_?zero|compress|unique\w*|masked_select|boolean_?mask)|WHERE")

SEQUENCE, MAPS, MAP, OPTIONAL = "a sequence of tensors", "a sequence of maps", "a map", "an optional value"
SPARSE, RAGGED, TEXT, COMPLEX = "a sparse tensor", "a ragged tensor", "text", "of complex numbers"

_ZIPMAP = 'export it without ZipMap: to_onnx(model, X, options={id(model): {"zipmap": False}}) of skl2onnx'
_OUTPUT_HINTS = {
    COMPLEX: "export real and imaginary parts, or magnitudes, as outputs of floats",
    SEQUENCE: "export each of its tensors as a separate output, or join them in one (torch.stack, ConcatFromSequence)",
    MAPS: _ZIPMAP,
    MAP: _ZIPMAP,
    OPTIONAL: "export the value alone, for the case in which it is there",
    SPARSE: "export it dense: tf.sparse.to_dense, tensor.to_dense()",
    RAGGED: "export it padded to a fixed number of rows: ragged.to_tensor(shape=...), and the lengths beside it",
    TEXT: "export the numbers behind the text (scores, class numbers), and turn them into text where they are shown",
}
_INPUT_HINTS = {
    COMPLEX: "export it with real and imaginary parts as inputs of floats",
    SEQUENCE: "export it with an input for each of its tensors",
    OPTIONAL: "export it with a tensor in its place, or without the input",
    SPARSE: "export it with a dense input",
    RAGGED: "export it with an input of a fixed length, padded, and a mask beside it",
    TEXT: "cut the text or image decoding off before exporting; of a graph, name what follows it: --inputs",
}


def no_tensor(role: str, name: str, path: Path | None, kind: str, hint: str = "") -> ModelError:
    """The error for an input or output that is not a tensor of numbers.

    Args:
        role: `input` or `output`.
        kind: one of the constants above, or another description.
    """
    return ModelError(
        f"{role} {name}{f' of {path.name}' if path else ''} is {kind}: boards work with tensors of numbers alone",
        hint=hint or hint_of(role, kind),
        code=Code.INPUT_KIND if role == "input" else Code.OUTPUT_KIND,
    )


def hint_of(role: str, kind: str) -> str:
    """The hint on what to export instead."""
    hints = _INPUT_HINTS if role == "input" else _OUTPUT_HINTS
    return hints.get(kind, "export it as a tensor of floats or whole numbers")


def varies(name: str, path: Path, shapes: Iterable[tuple[int, ...]], operators: Iterable[str]) -> ModelError:
    """The error for an output whose shape depends on the input's values."""
    seen = sorted(set(shapes), key=lambda shape: (len(shape), shape))
    return ModelError(
        f"output {name} of {path.name} changes its shape from input to input: {seen[0]} to {seen[-1]}",
        hint=_cure(operators),
        code=Code.SHAPE_VARIES,
    )


def empty(name: str, path: Path, shape: tuple[int, ...], operators: Iterable[str]) -> ModelError:
    """The error for an output without any values."""
    return ModelError(
        f"output {name} of {path.name} holds no values: its shape is {shape}",
        hint=f"give real inputs: --calibration FILE; if its size varies, {_cure(operators)}",
        code=Code.SHAPE_VARIES,
    )


def selecting(operators: Iterable[str]) -> list[str]:
    """The given operators whose result length may depend on the input, without duplicates; non-maximum suppression comes first."""
    found = sorted(set(operators))
    suppressing = [name for name in found if _SUPPRESSING.fullmatch(name)]
    return suppressing + [name for name in found if _SELECTING.fullmatch(name)]


def _cure(operators: Iterable[str]) -> str:
    names = selecting(operators)
    fixed = "a fixed number of rows (TopK, padding)"
    if not names:
        return f"export what it is made from, or {fixed}"
    if _SUPPRESSING.fullmatch(names[0]):
        return f"export raw boxes and scores, without {names[0]}, or {fixed}"
    return f"export what {names[0]} selects from, or {fixed}"
