"""Decisions: what an application does with a model's outputs. A fault is real if it changes them, a conversion is right if it keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Array = Any


class Decide(NamedTuple):
    """A kind of decision.

    Attributes:
        kind: `class`: where the greatest value of a sample is, from `first` on; `map`: the same along `axis`, at every place;
            `same`: the numbers themselves; `above`: whether a value is above `near`; `value`: the value, to within `near`.
        output: which of the model's.
        axis: of a sample's output.
        rest: of maps: the neutral decision (a background, a blank): places where both have it are not counted.
    """

    kind: str = "class"
    output: int = 0
    first: int = 0
    axis: int = -1
    near: float = 0.0
    rest: int | None = None


def decisions(answers: Sequence[Array], how: Sequence[Decide]) -> list[Array]:
    """One array for each Decide, with one row per sample; NaN where an output is not finite.

    Args:
        answers: one array an output, of shape (samples, *output).
    """
    return [_decided(np.asarray(answers[one.output]), one) for one in how]


def differing(one: Sequence[Array], other: Sequence[Array], how: Sequence[Decide]) -> float:
    """The share of decisions that differ, for the kind of decision with the largest share."""
    return max(_share(*three) for three in zip(one, other, how, strict=True))


def each(one: Sequence[Array], other: Sequence[Array], how: Sequence[Decide]) -> Array:
    """For each sample, whether any decision about it differs."""
    rows = [~_near(a, b, by).all(axis=1) for a, b, by in zip(one, other, how, strict=True)]
    return np.any(rows, axis=0)


def _decided(answer: Array, how: Decide) -> Array:
    flat = answer.reshape(len(answer), -1)
    if how.kind == "class":
        flat = flat[:, how.first :]
        best = flat.argmax(axis=1).astype(np.float64)
        return np.where(np.isfinite(flat).all(axis=1), best, np.nan)[:, None]
    if how.kind == "map":
        axis = how.axis if how.axis < 0 else how.axis + 1
        answer = np.take(answer, range(how.first, answer.shape[axis]), axis) if how.first else answer
        best = np.where(np.isfinite(answer).all(axis=axis), answer.argmax(axis=axis), np.nan)
        return best.reshape(len(answer), -1)
    values = flat.astype(np.float64)
    if how.kind == "above":
        return np.where(np.isfinite(values), values > how.near, np.nan)
    return values


def _near(one: Array, other: Array, how: Decide) -> Array:
    most = how.near if how.kind == "value" else 0.0
    return np.abs(one - other) <= most  # NaN is near nothing


def _share(one: Array, other: Array, how: Decide) -> float:
    counted = np.ones(one.shape, bool) if how.rest is None else (one != how.rest) | (other != how.rest)
    return float((~_near(one, other, how) & counted).sum() / max(1, counted.sum()))
