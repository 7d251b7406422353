"""Releases whose inputs or outputs differ from the incumbent's, over real SSH."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgewright.store.artifacts import ArtifactStore

Run = Callable[..., Any]


def two_inputs(path: Path, *names: str) -> None:
    """`first @ w + second`, whose inputs are declared in the order of `names`."""
    weights = np.random.default_rng(2).normal(size=(4, 4)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["first", "w"], ["m"]),
        helper.make_node("Add", ["m", "second"], ["sum"]),
    ]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in names]
    outputs = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1, 4])]
    graph = helper.make_graph(nodes, "two", inputs, outputs, [numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


@pytest.fixture(scope="module")
def releases(models: Path) -> None:
    two_inputs(models / "kept.onnx", "first", "second")
    two_inputs(models / "swapped.onnx", "second", "first")


def test_a_change_is_refused_before_anything_is_sent_unless_it_is_accepted(
    deployed: Run, run: Run, releases: None, module_home: Path
) -> None:
    def outcomes(name: str, *more: object) -> list[dict[str, Any]]:
        ran = deployed(name, *more, to="all", model="faces")
        return list(ran.json["outcomes"])

    assert deployed("kept.onnx", model="faces").code == 0
    planned = {one["board"]: one for one in outcomes("swapped.onnx", "--dry-run")}
    assert (planned["e-1"]["outcome"], planned["e-2"]["outcome"]) == (
        "planned",
        "refused",
    )  # e-1 has none yet
    refused = planned["e-2"]
    assert refused["code"] == "interface" and refused["sent_bytes"] == 0
    assert "inputs are in another order: second, first (was first, second)" in refused["message"]
    assert "--accept-interface-change" in refused["hint"]
    done = deployed("swapped.onnx", "--accept-interface-change", model="faces")
    assert done.code == 0, done.out
    note = next(check for check in done.json["outcomes"][0]["checks"] if check["name"] == "interface")["note"]
    assert note.startswith("accepted: ")
    assert note in run("status", "e-2").out and "interface: accepted: differs" in run("history", "-n", 1).out
    assert run("rollback", "faces", "--on", "e-2").code == 0  # never asks


@pytest.mark.slow
def test_an_incumbent_of_another_host_is_known_by_the_history_or_the_board(
    deployed: Run, releases: None, module_home: Path
) -> None:
    def planned() -> dict[str, Any]:
        return dict(deployed("swapped.onnx", "--dry-run", model="foreign").json["outcomes"][0])

    deployed("kept.onnx", model="foreign")
    incumbent = deployed("kept.onnx", model="foreign").json["outcomes"][0]["artifact"]
    store = ArtifactStore(module_home / "artifacts")
    assert store.manifest(incumbent).id == incumbent
    (module_home / "artifacts" / "objects" / incumbent).rename(module_home / "hidden")
    assert planned()["outcome"] == "refused"
    (module_home / "history.sqlite3").rename(module_home / "hidden.sqlite3")
    refused = planned()
    assert refused["outcome"] == "refused"
    assert "inputs are in another order: second, first (was first, second)" in refused["message"]
