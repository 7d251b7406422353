"""Which answers of a source can be compared at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgewright.compile.data import goldens
from edgewright.errors import ConversionError


def refuse(*outputs: np.ndarray, counts: list[np.ndarray] | None = None) -> None:
    goldens.refuse_not_finite(
        outputs, counts or [np.ones(one.shape) for one in outputs], ["y"], "calibration", list
    )


def test_single_infinities_may_be_meant_and_nan_is_not() -> None:
    answers = np.random.default_rng(1).normal(size=(8, 5))
    answers[:, 2] = -np.inf
    refuse(answers)
    with pytest.raises(ConversionError, match="output y is not finite in the source: infinity for 8 of 8"):
        refuse(np.full((8, 5), np.inf))
    answers[3, 1] = np.nan
    with pytest.raises(ConversionError, match="NaN for 8 of 8 golden inputs"):
        refuse(answers)


def test_padding_may_answer_what_it_likes() -> None:
    answers, counts = np.ones((8, 5)), np.ones((8, 5))
    answers[:, 3:], counts[:, 3:] = np.nan, 0
    refuse(answers, counts=[counts])
    refuse(np.zeros((8, 0)))
    counts[:, 3] = 1
    with pytest.raises(ConversionError, match="NaN for 8 of 8"):
        refuse(answers, counts=[counts])


def test_answers_that_are_not_finite_are_not_all_one() -> None:
    masked = np.full((8, 3), 2.0)
    masked[:, 0] = -np.inf
    with pytest.raises(ConversionError, match="the same output for all 8 golden inputs"):
        goldens.refuse_constant([masked])
    for changed in (np.inf, 2.0, np.nan):
        other = masked.copy()
        other[3, 0] = changed
        goldens.refuse_constant([other])
    masked[5, 2] = 3.0
    goldens.refuse_constant([masked])


def test_what_counts_stands_beside_the_goldens(tmp_path: Path) -> None:
    file = tmp_path / "goldens.npz"
    outputs = [np.zeros((2, 3)), np.zeros((2, 1))]
    np.savez(
        file, output_0=outputs[0], output_1=outputs[1], counts_0=np.array([[1, 1, 0], [1, 0, 0]], np.uint8)
    )
    first, second = goldens.counted(file, outputs)
    assert first.tolist() == [[True, True, False], [True, False, False]]
    assert second.tolist() == [[True], [True]]
