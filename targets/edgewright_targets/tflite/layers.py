"""Maps the operators of a .tflite file to layers of the source. Host side.

A stage that knows the mapping writes it next to its file, for the stage that quantises; otherwise names are looked up in the
file.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright_targets.tflite import graph

if TYPE_CHECKING:
    from edgewright_targets.tflite.graph import Operator


_FILE = "layers.json"
_MOVES = ("TRANSPOSE", "RESHAPE", "SQUEEZE")  # converters add these behind an operator, under its name


def save(folder: Path, names: dict[str, str], outputs: dict[str, int] | None = None) -> None:
    """Writes the mapping that a stage knows.

    Args:
        names: {a layer's name in the source: its name in the file}.
        outputs: {a layer's name in the source: index of the model's output that it makes}.
    """
    (folder / _FILE).write_text(json.dumps([names, outputs or {}]))


def load(folder: Path) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Reads what `save` wrote: (names, outputs); both empty if it wrote nothing."""
    path = folder / _FILE
    return json.loads(path.read_text()) if path.is_file() else ({}, {})


def matches(data: bytes, wanted: tuple[str, ...], folder: Path) -> list[str]:
    """Names of the operators (their first outputs) that the layers refer to.

    Args:
        data: the bytes of the file.
        wanted: names of the source's layers, or of tensors in the file, or parts of these between `/`, `;` and `:`.
        folder: the folder that `save` may have written to.

    Raises:
        UsageError: `no-such-layer`; the hint names the nearest.
    """
    from edgewright.sdk.graphs import no_such_layer

    names, outputs = load(folder)
    last = graph.output_names(data)
    operators = graph.operators(data)
    makers = {operator.outputs[0].name: operator for operator in operators if operator.outputs}
    parts = {scope: {scope, *re.split(r"[/;:]", scope)} for scope in makers}
    found = []
    for name in wanted:
        meant = re.compile(re.escape(names.get(name, name)) + (r"(_\d+)?" if name in names else ""))
        hits = [scope for scope in makers if any(meant.fullmatch(part) for part in parts[scope])]
        if not hits and name in outputs:  # a converter names the last operator after the output
            hits = [last[outputs[name]]]
        if not hits:
            raise no_such_layer(
                name, names or {part for several in parts.values() for part in several if part}
            )
        for scope in hits:
            found += [one for one in _moved_operators(scope, makers) if one not in found]
    return found


def _moved_operators(scope: str, makers: dict[str, Operator]) -> list[str]:
    """The operator, and those before it if it only moves their result."""
    chain = [scope]
    while makers[chain[-1]].kind in _MOVES:
        before = makers[chain[-1]].inputs[0].name
        if before not in makers:
            break
        chain.append(before)
    return chain
