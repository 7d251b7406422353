"""Layers that the user names: one error for all targets where the model has none of that name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from edgewright.errors import Code, UsageError


def no_such_layer(layer: str, names: Iterable[str], examples: Sequence[str] = ()) -> UsageError:
    """The error of a `--keep-float` that no layer of the model has.

    Args:
        names: those that the model has; the hint gives the nearest.
        examples: what the hint gives where none is near; without, some of the names.
    """
    words = sorted(set(names))
    near = difflib.get_close_matches(layer, words, n=3, cutoff=0.4) or list(examples or words)[:6]
    return UsageError(
        f"model has no such layer to keep in floats: {layer}",
        hint=f"layers are such as {', '.join(near)}",
        code=Code.NO_SUCH_LAYER,
    )
