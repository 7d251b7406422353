"""Detects integers beyond a target's width: OpenVINO computes 64-bit integers in 32 bits without an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgewright import targets
from edgewright.compile.data import goldens
from edgewright.compile.data.input_ranges import Range
from edgewright.errors import Code, ConversionError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.target import Target

_WIDE = ("int64", "uint64", "uint32")


def check(
    target: Target, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], found: Sequence[Range], file: Path
) -> None:  # fmt: skip
    """Refuses data and outputs that the target cannot represent.

    Args:
        found: the range of each input in the data; empty if there are no data.
        file: the goldens.

    Raises:
        ConversionError: an input or an output exceeds the target's integers.
    """
    if target.integer_bits >= 64:
        return
    seen = [("input", *pair) for pair in zip(inputs, found, strict=False)]
    if any(spec.dtype in _WIDE for spec in outputs):
        _, answers = goldens.load(file, 0, len(outputs))
        limits = [(float(one.min(initial=0)), float(one.max(initial=0))) for one in answers]
        seen += [("output", *pair) for pair in zip(outputs, limits, strict=True)]
    most = 2 ** (target.integer_bits - 1)
    for end, spec, (low, high) in seen:
        if spec.dtype in _WIDE and not -most <= low <= high < most:
            furthest = high if high >= most else low
            raise ConversionError(
                f"{target.title} computes whole numbers in {target.integer_bits} bits: {end} {spec.name} goes to {furthest:.0f}",
                hint=f"take --target {targets.widest()[0]}, or make the numbers smaller before they enter the model",
                code=Code.INTEGERS_TOO_WIDE,
            )
