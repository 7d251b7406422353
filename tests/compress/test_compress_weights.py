"""Masks and clusters of weights."""

from __future__ import annotations

import numpy as np
import pytest

from edgewright.compress import masks
from edgewright.compress.clusters import clustered
from edgewright.nouns.compression import WeightedLayer

RANDOM = np.random.default_rng(5)


def test_each_layer_loses_the_same_share() -> None:
    scores = {"a": np.array([4.0, 1.0, 3.0, 2.0]), "b": np.array([[40.0, 10.0], [30.0, 20.0]])}
    found = masks.least(scores, 0.5, across=False)
    assert found["a"].tolist() == [True, False, True, False]
    assert found["b"].tolist() == [[True, False], [True, False]]


def test_across_layers_the_least_of_all_go() -> None:
    scores = {"a": np.array([4.0, 1.0, 3.0, 2.0]), "b": np.array([[40.0, 10.0], [30.0, 20.0]])}
    found = masks.least(scores, 0.5, across=True)
    assert not found["a"].any()
    assert found["b"].all()


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.99])
def test_the_share_is_exact_among_equal_scores(sparsity: float) -> None:
    found = masks.least({"a": np.zeros((10, 10))}, sparsity, across=False)["a"]
    assert (~found).sum() == round(100 * sparsity)


@pytest.mark.parametrize(("inputs", "shape"), [(0, (8, 5)), (2, (3, 3, 12, 4)), (1, (5, 4))])
def test_a_pattern_keeps_the_best_of_every_group_along_the_inputs(
    inputs: int, shape: tuple[int, ...]
) -> None:
    layer = WeightedLayer(name="a", kind="dense", shape=shape, outputs=len(shape) - 1, inputs=inputs)
    scores = RANDOM.random(shape)
    mask = masks.of_pattern(layer, scores, 2, 4)
    assert mask is not None
    rows = np.moveaxis(mask, inputs, -1).reshape(-1, 4)
    assert (rows.sum(axis=1) == 2).all()
    kept, gone = (np.moveaxis(np.where(one, scores, fill), inputs, -1).reshape(-1, 4)
                  for one, fill in ((mask, np.inf), (~mask, -np.inf)))  # fmt: skip
    assert (kept.min(axis=1) >= gone.max(axis=1)).all()


def test_a_pattern_does_not_fit_every_layer() -> None:
    depthwise = WeightedLayer(name="a", kind="depthwise", shape=(3, 3, 8, 1), outputs=2)
    odd = WeightedLayer(name="b", kind="dense", shape=(7, 2), outputs=1, inputs=0)
    assert masks.of_pattern(depthwise, np.ones(depthwise.shape), 2, 4) is None
    assert masks.of_pattern(odd, np.ones(odd.shape), 2, 4) is None


@pytest.mark.parametrize("count", [2, 3, 16])
@pytest.mark.parametrize("zeros", [0.0, 0.6])
def test_rows_have_few_values_and_zeros_stay(count: int, zeros: float) -> None:
    rows = RANDOM.normal(size=(6, 300)).astype(np.float32)
    rows[RANDOM.random(rows.shape) < zeros] = 0
    found = clustered(rows, count)
    assert found.dtype == np.float32
    assert all(len(np.unique(row)) <= count for row in found)
    assert (found[rows == 0] == 0).all()
    if count == 16:
        assert np.abs(found - rows).mean() < 0.12 * np.abs(rows).mean()


def test_few_different_weights_stay_as_they_are() -> None:
    rows = np.array([[0.5, -1.0, 0.5, 2.0], [0.0, 3.0, 0.0, 3.0]], np.float32)
    assert np.array_equal(clustered(rows, 4), rows)
    assert np.array_equal(clustered(np.zeros((2, 3), np.float32), 2), np.zeros((2, 3)))


def test_more_clusters_are_closer() -> None:
    rows = RANDOM.normal(size=(4, 500)).astype(np.float32)
    errors = [float(np.square(clustered(rows, count) - rows).mean()) for count in (2, 4, 8, 16, 32)]
    assert errors == sorted(errors, reverse=True)


def test_a_million_weights_in_256_clusters_take_little() -> None:
    rows = RANDOM.normal(size=(1, 1_000_000)).astype(np.float32)
    found = clustered(rows, 256)
    assert len(np.unique(found)) <= 256
    assert float(np.square(found - rows).mean()) < 1e-3


def test_masks_of_no_layers() -> None:
    assert masks.least({}, 0.5, across=True) == {}
