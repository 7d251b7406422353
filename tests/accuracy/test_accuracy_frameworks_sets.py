"""Evaluation sets from the data sets of TensorFlow and PyTorch, with batches and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgewright.compile.data import evaluation_set
from edgewright.compile.workers.pool import Workers
from edgewright.errors import DataError
from edgewright.nouns.artifact import TensorSpec

pytestmark = pytest.mark.slow
ONE = (TensorSpec(name="x", shape=(1, 3), dtype="float32"),)
FUNCTIONS = """
import numpy as np

X, Y = np.arange(21, dtype=np.float32).reshape(7, 3), np.arange(7) % 2

def tensorflow(batch):
    import tensorflow as tf
    found = tf.data.Dataset.from_tensor_slices((X, Y))
    return found.batch(batch) if batch else found

def tf_batches(): return tensorflow(4)
def tf_one_batch(): return tensorflow(7)
def tf_samples(): return tensorflow(0)
def tf_endless(): return tensorflow(4).repeat()

def loader(batch):
    import torch
    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    return torch.utils.data.DataLoader(pairs, batch_size=batch)

def torch_batches(): return loader(4)
def torch_samples(): return loader(None)
"""


def test_batches_are_taken_apart(tmp_path: Path, workers: Workers) -> None:
    (tmp_path / "sets.py").write_text(FUNCTIONS)
    for name in ("tf_batches", "tf_one_batch", "tf_samples", "torch_batches", "torch_samples"):
        found = evaluation_set.prepare(tmp_path / f"sets.py:{name}", ONE, workers=workers)
        assert found.load_labels().tolist() == [0, 1, 0, 1, 0, 1, 0], name
        with np.load(found.inputs) as members:
            assert np.array_equal(members["input_0"].reshape(7, 3), np.arange(21).reshape(7, 3)), name
    with pytest.raises(DataError, match="without an end") as caught:
        evaluation_set.prepare(tmp_path / "sets.py:tf_endless", ONE, workers=workers)
    assert "repeat" in caught.value.hint
