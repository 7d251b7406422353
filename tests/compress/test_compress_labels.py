"""Labels in all their forms, the losses that fit them, and the data sets of a compression."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.compress.labels import fitted, loss_for

CLASSES = np.array([2, 0, 1, 2])
ONE_HOT = np.eye(3, dtype=np.int32)[CLASSES]


@pytest.mark.parametrize(
    ("labels", "output", "loss", "taken"),
    [
        (CLASSES, (3,), "cross_entropy", CLASSES),
        (CLASSES[:, None], (3,), "cross_entropy", CLASSES),
        (np.array([[0], [1], [1]]), (2,), "cross_entropy", np.array([0, 1, 1])),
        (ONE_HOT, (3,), "cross_entropy", CLASSES),
        (ONE_HOT.astype(np.float32), (3,), "cross_entropy", CLASSES),
        (np.array([[1, 1, 0], [0, 0, 0]]), (3,), "binary_cross_entropy", np.array([[1, 1, 0], [0, 0, 0]])),
        (np.array([0, 1, 1]), (1,), "binary_cross_entropy", np.array([0, 1, 1])),
        (np.array([[0.0], [1.0]]), (1,), "binary_cross_entropy", np.array([[0.0], [1.0]])),
        (np.array([0.5, 3.0]), (1,), "mse", np.array([0.5, 3.0])),
        (np.array([4, 9]), (1,), "mse", np.array([4, 9])),
        (np.ones((2, 5, 5), int), (5, 5, 4), "cross_entropy", np.ones((2, 5, 5), int)),
        (np.full((2, 3), 0.3), (3,), "mse", np.full((2, 3), 0.3)),
    ],
)
def test_the_loss_follows_values_and_shape(
    labels: np.ndarray, output: tuple[int, ...], loss: str, taken: np.ndarray
) -> None:
    assert loss_for(labels, output) == loss
    assert np.array_equal(fitted(labels, loss, output), taken)
