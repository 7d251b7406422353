"""Writes a network as a torch.export program."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from edgewright.compile.workers.framework_errors import BRANCHES, described, position
from edgewright.compress.pytorch.body import Body
from edgewright.errors import Code, ConversionError


def save(body: Body, file: Path) -> None:
    """Writes a `.pt2` with the shapes of the example inputs.

    Inputs keep their names, as far as they are Python's: other characters become underscores. Outputs keep any name.

    Raises:
        ConversionError: torch.export cannot follow the module's code.
    """
    import torch

    flat, outputs = body.flat, body.names[1]
    inputs = [_identifier(name) for name in body.names[0]]

    class Named(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.flat = flat  # its place is `weights.WRITTEN`

        def forward(self, **tensors: Any) -> dict[str, Any]:
            return dict(zip(outputs, self.flat(*(tensors[name] for name in inputs)), strict=True))

    named = Named()
    named.training = False
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about attributes that lists of weights, as in LSTMs, do not keep
            program = torch.export.export(named, (), dict(zip(inputs, body.example, strict=True)))
    except Exception as error:
        raise ConversionError(
            f"torch.export cannot trace the module: {described(error)}{position(error)}",
            hint=BRANCHES,
            code=Code.CONVERSION_FAILED,
        ) from error
    torch.export.save(program, str(file))


def _identifier(name: str) -> str:
    word = re.sub(r"\W", "_", name, flags=re.ASCII)
    return word if word.isidentifier() else f"_{word}"
