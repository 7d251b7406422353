"""Random processes are killed in random commands, again and again. `EDGEWRIGHT_KILLS` says how many rounds.

Many rounds are played in parts, each with its own boards, so that `pytest -n` can play several at once: a round mostly waits.
"""

import os
import time

import pytest
import random_kills
from command_line import command_line
from random_kills import Arena, play

from edgewright.deployments import transaction
from edgewright.lab import boards
from edgewright.nouns import measurement

ROUNDS = int(os.environ.get("EDGEWRIGHT_KILLS", "10"))
PART = 50  # rounds
BRIEF = measurement.Protocol(
    name="quick", rounds=1, warmup_s=0.0, steady_s=0.05, min_samples=11, limit_s=15.0
)


@pytest.fixture(params=range(0, ROUNDS, PART))
def arena(request, module_home, tmp_path, monkeypatch):
    """Two boards, and three artifacts that every model can have."""
    monkeypatch.setattr(transaction, "LEASE_S", 6)
    for name in ("quick", "normal"):
        if name in measurement.PROTOCOLS:
            monkeypatch.setitem(measurement.PROTOCOLS, name, BRIEF)
    made = command_line("lab", "up", "--boards", 2, "--profile", "generic-x86_64", "--name", "kill", "--json")
    assert made.code == 0, made.err
    artifacts = []
    for number in range(3):
        (tmp_path / f"{number}.onnx").write_bytes(network(number))
        ran = command_line("convert", tmp_path / f"{number}.onnx", "--target", "onnxruntime",
                           "--precision", "fp32", "--json")  # fmt: skip
        assert ran.code == 0, ran.err
        artifacts.append(ran.json["artifact"])
    seed = int(os.environ.get("EDGEWRIGHT_KILLS_SEED", time.time_ns() % 2**32)) + request.param
    yield Arena(boards.listing(), artifacts, tmp_path, seed), seed
    boards.down()


def network(seed: int) -> bytes:
    """A small net with seeded weights."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(seed).normal(0, 0.3, (16, 5)).astype(np.float32)
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5]),
    ]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "net", ends[:1], ends[1:], [numpy_helper.from_array(weights, "w")]
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_whatever_is_killed_nothing_is_lost_or_left(arena, request, survived):
    play_in, seed = arena
    rows, first = [], request.node.callspec.params["arena"]
    play(play_in, min(PART, ROUNDS - first), rows.append)
    assert not play_in.wrong, "\n".join([f"seed {seed}", *rows, *play_in.wrong])
    for victim, count in play_in.tried.items():
        survived(f"Random kills: {'nothing in time' if victim == 'nobody' else victim} killed", count)
    assert set(play_in.tried) & set(random_kills.VICTIMS)
