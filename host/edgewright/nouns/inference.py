"""Inference: a board's outputs for one input, as plain values."""

from __future__ import annotations

from typing import Any

from edgewright.nouns.base import Noun


class RankedClass(Noun, frozen=True, kw_only=True):
    """A class of a classifier's output, with its score."""

    index: int
    label: str
    score: float | None


class InferenceRecord(Noun, frozen=True, kw_only=True):
    """The outputs of a model for all samples of an input.

    Attributes:
        outputs: name -> nested lists, samples first; non-finite values are null.
        shapes: name -> shape of one sample.
        ms: time of the median sample.
        simulated: facts of the board that were substituted.
        warnings: inputs outside the range of the calibration data.
        top: name -> the best classes of each sample, best first; only for outputs that have labels.
    """

    outputs: dict[str, list[Any]]
    shapes: dict[str, tuple[int, ...]]
    ms: float
    release: str
    runtime: str
    accelerator: str
    simulated: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    top: dict[str, tuple[tuple[RankedClass, ...], ...]] = {}
