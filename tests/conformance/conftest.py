"""One home, one set of workers and one simulated board for all of these tests, since they convert many models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flat_requests import compile_request, deploy_request

from edgewright import targets
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers, toolchains
from edgewright.config import fleet as fleets
from edgewright.config import home as homes
from edgewright.deployments.deployment import deploy
from edgewright.lab import boards
from edgewright.nouns.board import Fleet
from edgewright.nouns.cpu import Cpu
from edgewright.nouns.measurement import Protocol
from edgewright.nouns.outcome import BoardOutcome
from edgewright.precisions import PRECISIONS
from edgewright.store.artifacts import ArtifactStore
from edgewright.store.history import History

sys.path.insert(0, str(Path(__file__).parent))
from reached import way_of

# these tests check outputs, not speed
BRIEF = Protocol(name="brief", rounds=1, warmup_s=0.01, steady_s=0.05, min_samples=11, limit_s=60.0)


@pytest.fixture(scope="session")
def workers(session_home: Path, worker_folders: dict[str, list[Path]]) -> Iterator[Workers]:
    """The worker processes that all conversions share."""
    with Workers(session_home / "convert.log", **worker_folders) as running:
        yield running


@pytest.fixture(scope="module")
def installed(
    session_home: Path, toolchain_folder: Callable[[str], Path], workers: Workers
) -> Iterator[Callable[[str], None]]:
    """`installed("apache-tvm")`: a toolchain in this module's home, and in no other module's: they see that it is missed."""
    places: list[Path] = []

    def install(name: str) -> None:
        place = session_home / "toolchains" / name
        if place in places:
            return
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(toolchain_folder(name))
        places.append(place)
        workers.may_read(toolchains())  # those that run already were started without it

    yield install
    for place in places:
        place.unlink()


@pytest.fixture(scope="module")
def onnx2tf(installed: Callable[[str], None]) -> None:
    """The toolchain in this module's home."""
    installed("onnx2tf")


@pytest.fixture(scope="session")
def fleet(session_home: Path) -> Iterator[Fleet]:
    """A fleet of one simulated board."""
    path = session_home / "fleet.toml"
    boards.up(1, fleet_path=path, profiles=("generic-x86_64",), name="c")
    yield fleets.load(path)
    boards.down("c")


@pytest.fixture(scope="session")
def deployed(fleet: Fleet, workers: Workers) -> Callable[..., BoardOutcome]:
    """`deployed(source, target, precision, **more)`: converts a model, deploys it to the board, and compares the outputs there."""

    def run(source: Path, target: str, precision: str | None, **more: Any) -> BoardOutcome:
        request = deploy_request(
            fleet=fleet, boards=tuple(fleet.boards.values()), name=f"{source.stem.lower()}-{target}-{precision or 'own'}",
            source=source, target=target, precision=precision, protocol=BRIEF, allow_synthetic=True, **more,
        )  # fmt: skip
        (outcome,) = deploy(request, history=History(), workers=workers)
        return outcome

    return run


@pytest.fixture(scope="module")
def converted(
    small_models: Callable[[str], Path], workers: Workers, installed: Callable[[str], None]
) -> Callable[..., Path]:
    """`converted(target, model, precision, cpu=None)`: the folder of a small model's artifact."""

    def make(name: str, model: str, precision: str, cpu: Cpu | None = None) -> Path:
        kind = way_of(name)
        for toolchain in targets.load(name).routes[kind].toolchains:
            installed(toolchain)
        source = small_models(kind) / f"{model}.{kind}"
        request = compile_request(
            source=source, target=name, precision=precision, calibration="synthetic", cpu=cpu
        )
        return compile_model(request, workers=workers).folder

    return cache(make)


@pytest.fixture(scope="session")
def answered(session_home: Path) -> Callable[[BoardOutcome], float]:
    """`answered(outcome)`: checks that a board's outputs for the goldens are right and not all the same; returns their dB.

    A measurement that is invalid because this machine was busy is not the model's fault.
    """

    def check(outcome: BoardOutcome) -> float:
        wrong = [check.name for check in outcome.checks if not check.ok]
        assert outcome.outcome == "committed" or wrong == ["validity"], (outcome.message, outcome.checks)
        artifact = ArtifactStore(homes.folder("artifacts")).get(outcome.artifact)
        (answers,) = [check for check in outcome.checks if check.name == "answers"]
        assert answers.value is not None
        assert answers.value >= PRECISIONS[artifact.manifest.precision].tolerance.sqnr_db
        with np.load(artifact.folder / artifact.manifest.goldens.file) as goldens:
            wanted = goldens["output_0"].astype(float).reshape(artifact.manifest.goldens.count, -1)
        apart = [float(np.mean((one - two) ** 2)) for one, two in combinations(wanted, 2)]
        assert np.median(apart) > 1e-2 * np.mean(wanted**2), "the goldens have one answer"
        return answers.value

    return check
