"""Decides which values of the goldens' outputs are compared: not padding, not rows past a valid count, not ties."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgewright.compile.data.npz_members import by_name
from edgewright.errors import UsageError
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_TIE_SHARE = 1e-6  # scores that differ by less than this share of the largest score may come in either order
_LEAST_RANKED = 2


def counting(
    mask: str | None, specs: Sequence[TensorSpec], inputs: Sequence[Array], outputs: Sequence[Array], *, some: bool = True,
) -> list[Array]:  # fmt: skip
    """One uint8 array per output, of the output's shape: 1 for values that count, 0 for the others.

    Args:
        mask: name of an input that is 0 where the outputs are meaningless.
        specs: specs of the inputs.
        inputs, outputs: arrays of shape (goldens, *shape).
        some: whether to refuse a mask that leaves no value to compare.

    Raises:
        UsageError: no input has that name, no output matches its shape, or no value is left to compare.
    """
    import numpy as np

    counts = [np.ones(output.shape, bool) for output in outputs]
    if mask is not None:
        _mask(mask, specs, inputs, counts, some)
    _exclude_padding_rows(outputs, counts)
    _exclude_ties(outputs, counts)
    return [count.astype(np.uint8) for count in counts]


def _mask(
    mask: str, specs: Sequence[TensorSpec], inputs: Sequence[Array], counts: Sequence[Array], some: bool
) -> None:
    called = by_name(specs, (mask,))
    if mask not in called:
        raise UsageError(
            f"[compare] names a mask that is not an input: {mask}",
            hint=f"inputs are {', '.join(spec.name for spec in specs)}",
        )
    kept = inputs[called.index(mask)] != 0
    fitting = [count for count in counts if _broadcast_mask(kept, count.shape) is not None]
    if not fitting:
        raise UsageError(
            f"[compare] mask {mask} of shape {kept.shape[1:]} fits no output",
            hint="an output fits that begins with the mask's axes, or has them behind its channels; the outputs are"
            f" {', '.join(str(count.shape[1:]) for count in counts)}",
        )
    for count in fitting:
        count &= _broadcast_mask(kept, count.shape)
        if some and not count.any():
            raise UsageError(
                f"[compare] mask {mask} leaves nothing to compare: it is 0 in every golden input",
                hint="give --calibration data whose masks have ones, or leave the mask out",
            )


def _broadcast_mask(kept: Array, shape: tuple[int, ...]) -> Array | None:
    """Reshapes the mask (goldens, batch, *places) to broadcast to an output (goldens, batch, *places, ...) or (goldens, batch, channels, *places)."""
    import numpy as np

    if shape[: kept.ndim] == kept.shape:
        return kept.reshape(kept.shape + (1,) * (len(shape) - kept.ndim))
    if kept.ndim > 2 and shape[:2] + shape[3:] == kept.shape:
        return np.expand_dims(kept, 2)
    return None


def _exclude_padding_rows(outputs: Sequence[Array], counts: Sequence[Array]) -> None:
    """Excludes the rows of detections (boxes, classes, scores, count) beyond the count.

    Detections are recognised by shape: one integer per golden, one table of boxes with four numbers per row, and at least one other
    output with as many rows.
    """
    import numpy as np

    singles = [at for at, output in enumerate(outputs) if math.prod(output.shape[1:]) == 1]
    for at in singles if len(singles) == 1 else []:
        valid = outputs[at].reshape(-1)
        tables = [
            other
            for other in range(len(outputs))
            if other != at and outputs[other].ndim > 2 and outputs[other].shape[1] == 1
        ]
        rows = {outputs[other].shape[2] for other in tables}
        boxes = [other for other in tables if outputs[other].ndim == 4 and outputs[other].shape[-1] == 4]
        if len(boxes) != 1 or len(tables) < 2 or len(tables) != len(outputs) - 1 or len(rows) != 1:
            continue
        if any(outputs[other].ndim != 3 for other in tables if other not in boxes):
            continue
        if not (np.all(valid == np.round(valid)) and valid.min() >= 0 and valid.max() <= min(rows)):
            continue
        for other in tables:
            past = np.arange(min(rows)) >= valid[:, None]
            counts[other][:, 0][past] = False


def _exclude_ties(outputs: Sequence[Array], counts: Sequence[Array]) -> None:
    """Excludes tied ranks: indexes that come with descending values count only if no neighbouring value is equal."""
    import numpy as np

    for at, ranks in enumerate(outputs):
        if ranks.dtype.kind not in "iu" or ranks.ndim < 2 or ranks.shape[-1] < _LEAST_RANKED:
            continue
        for values in outputs:
            if values.dtype.kind != "f" or values.shape != ranks.shape:
                continue
            falls = -np.diff(values, axis=-1)
            if not (falls >= 0).all():
                continue
            equal = falls <= _TIE_SHARE * np.max(np.abs(values), axis=-1, keepdims=True)
            counts[at][..., :-1][equal] = False
            counts[at][..., 1:][equal] = False
