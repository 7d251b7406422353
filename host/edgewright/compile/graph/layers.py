"""Layers that the user names, and the error that all targets raise if the model has no such layer."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from edgewright.errors import Code, UsageError


def no_such_layer(layer: str, names: Iterable[str], examples: Sequence[str] = ()) -> UsageError:
    """The error of a `--keep-float` that matches no layer of the model.

    Args:
        names: the model's layers; the hint suggests the nearest one.
        examples: what the hint lists if no name is near; by default some of the names.
    """
    words = sorted(set(names))
    near = difflib.get_close_matches(layer, words, n=3, cutoff=0.4) or list(examples or words)[:6]
    return UsageError(
        f"model has no such layer to keep in floats: {layer}",
        hint=f"layers are such as {', '.join(near)}",
        code=Code.NO_SUCH_LAYER,
    )
