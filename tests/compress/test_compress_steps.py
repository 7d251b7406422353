"""Steps on a PyTorch network of this process, and a worker that dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compile.quality import metrics
from edgewright.compile.workers.pool import Workers, as_user
from edgewright.compress.data_sets import Samples
from edgewright.compress.pytorch.network import TorchNetwork, open_network
from edgewright.compress.recipe_check import shown
from edgewright.compress.recipes import step
from edgewright.compress.session import Session
from edgewright.compress.step_run import StepRun
from edgewright.compress.steps import STEPS
from edgewright.compress.tasks import NetworkFile, Rows
from edgewright.errors import ConversionError
from edgewright.nouns.recipe import DEFAULT_TRAINING, TrainingOptions

pytestmark = pytest.mark.slow
NETS = Path(__file__).parent / "torch_nets.py"
RANDOM = np.random.default_rng(3)
X, Y = RANDOM.random((40, 1, 8, 8), np.float32), RANDOM.integers(0, 10, 40)


@pytest.fixture
def network() -> TorchNetwork:
    return open_network(Path(f"{NETS}:residual"), "pytorch")


def taken(network: TorchNetwork, **table: Any) -> None:
    """Runs a step from its beginning to its last epoch."""
    made, training = step(table, "here"), TrainingOptions(rate=1e-3).over(DEFAULT_TRAINING)
    kind = STEPS[made.use]
    run = StepRun(network, lambda _: network, ([X], Y), "cross_entropy", training, 0)
    if kind.begin is not None:
        kind.begin(run, made.options)
    for number in range(made.options.epochs):
        kind.epoch(run, made.options, number)  # type: ignore[misc] # each of these trains
    assert shown(made)


def zeros(network: TorchNetwork) -> Mapping[str, np.ndarray]:
    return {layer.name: network.weight(layer.name) == 0 for layer in network.layers()}


def test_what_a_step_pruned_stays_pruned_in_later_ones(network: TorchNetwork) -> None:
    """Also in layers that the later step protects or cannot handle, and if it asks for less."""
    taken(network, use="prune", sparsity=0.6, epochs=2)
    first = zeros(network)
    assert all(abs(mask.mean() - 0.6) < 0.1 for mask in first.values())
    taken(network, use="prune", pattern="2:4", epochs=1, protect=["second"])
    second = zeros(network)
    assert all((second[name] >= first[name]).all() for name in first)
    assert (second["first"] != first["first"]).any()
    taken(network, use="prune", sparsity=0.1, epochs=2)
    taken(network, use="finetune", epochs=1)
    third = zeros(network)
    assert all((third[name] >= second[name]).all() for name in first)


def test_a_schedule_ends_at_its_sparsity(network: TorchNetwork) -> None:
    options = step({"use": "prune", "sparsity": 0.8, "epochs": 4}, "here").options
    settled = STEPS["prune"].settled
    assert settled is not None and settled(options) == 1
    taken(network, use="prune", sparsity=0.8, epochs=4, across=True)
    whole = np.concatenate([mask.ravel() for mask in zeros(network).values()])
    assert abs(whole.mean() - 0.8) < 0.01


def test_a_worker_that_dies_is_opened_again(tmp_path: Path) -> None:
    """The network is then as it was opened, until a checkpoint is restored."""
    np.savez(tmp_path / "inputs.npz", input_0=X[:, None])
    np.save(tmp_path / "labels.npy", Y)
    rows = Rows(inputs=tmp_path / "inputs.npz", labels=tmp_path / "labels.npy")
    samples = Samples(rows, metrics.load("top1"), Y)
    source = NetworkFile(path=Path(f"{NETS}:residual"), format="pytorch")
    with Workers(tmp_path / "log", reads=[tmp_path, NETS.parent]) as workers, workers.folder() as shared:
        session = Session(workers, source, shared)
        with session.files() as made:
            session.checkpoint(made.path / "checkpoint")
            before = session.answers(samples)
            os.kill(workers._running[as_user("torch")].pid, signal.SIGKILL)
            with pytest.raises(ConversionError, match="worker"):
                session.answers(samples)
            session.restore(made.path / "checkpoint")
        after = session.answers(samples)
    assert all(map(np.array_equal, before.arrays, after.arrays))
