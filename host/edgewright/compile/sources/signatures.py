"""Chooses the signature to convert: SavedModels and .tflite files may hold several functions."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgewright.errors import Code, ModelError

DEFAULT = "serving_default"


class Signature(NamedTuple):
    """A function with the names of its inputs and outputs."""

    name: str
    inputs: Sequence[str]
    outputs: Sequence[str]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.inputs)}) -> {', '.join(self.outputs)}"


def choose(path: Path, signatures: Sequence[Signature], wanted: str) -> tuple[Signature, tuple[str, ...]]:
    """(the chosen signature, notes).

    Args:
        signatures: in the order in which an error lists them.
        wanted: name of the signature that the user chose; empty for the default or only one.

    Raises:
        ModelError: there is no signature, or none with that name; or there are several without a default, and none was chosen.
    """
    if not signatures:
        raise ModelError(
            f"{path.name} has no signatures", hint="leave --signature out", code=Code.NO_SUCH_SIGNATURE
        )
    named = {one.name: one for one in signatures}
    listed = "; ".join(map(str, signatures))
    if wanted:
        if wanted not in named:
            near = difflib.get_close_matches(wanted, named, n=1)
            raise ModelError(
                f"{path.name} has no signature {wanted}",
                hint=(f"did you mean {near[0]}? " if near else "") + f"there are {listed}",
                code=Code.NO_SUCH_SIGNATURE,
            )
        return named[wanted], (f"signature {wanted}",)
    if len(signatures) == 1:
        return signatures[0], ()
    if DEFAULT in named:
        others = ", ".join(name for name in named if name != DEFAULT)
        return named[DEFAULT], (f"signature {DEFAULT} was taken, there are others: {others}",)
    raise ModelError(
        f"{path.name} has {len(signatures)} signatures and no {DEFAULT}",
        hint=f"name one: --signature {signatures[0].name}; there are {listed}",
        code=Code.SIGNATURE_MISSING,
    )
