"""Reads and writes ncnn's `.param`: text, with one layer per line. Host side.

A line is `kind name inputs outputs TENSOR... ID=VALUE...`, where `inputs` and `outputs` count the tensors that follow.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_MAGIC = "7767517"


class Layer(NamedTuple):
    """One layer.

    Attributes:
        takes, gives: names of the tensors that it reads and makes.
        settings: `ID=VALUE` as in the file.
    """

    kind: str
    name: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    settings: tuple[str, ...] = ()

    def setting(self, key: str) -> str:
        """A setting's value; empty if the layer has its default."""
        pairs = (one.partition("=") for one in self.settings)
        return next((value for own, _, value in pairs if own == key), "")


def read(path: Path) -> list[Layer]:
    """The layers of a file, in its order.

    Raises:
        ValueError: it is not a `.param`.
    """
    lines = path.read_text("utf-8").splitlines()
    if not lines or lines[0] != _MAGIC:
        raise ValueError(f"not a .param file: {path.name}")
    return [_layer(line) for line in lines[2:] if line.strip()]


def _layer(line: str) -> Layer:
    kind, name, takes, gives, *rest = line.split()
    ends = int(takes), int(takes) + int(gives)
    return Layer(kind, name, tuple(rest[: ends[0]]), tuple(rest[ends[0] : ends[1]]), tuple(rest[ends[1] :]))


def write(layers: list[Layer], path: Path) -> None:
    """Writes the file; the second line counts layers and tensors, as ncnn requires."""
    tensors = {name for layer in layers for name in (*layer.takes, *layer.gives)}
    lines = [_MAGIC, f"{len(layers)} {len(tensors)}"]
    for one in layers:
        words = (one.kind, one.name, len(one.takes), len(one.gives), *one.takes, *one.gives, *one.settings)
        lines.append(" ".join(map(str, words)))
    path.write_text("\n".join(lines) + "\n", "utf-8")
