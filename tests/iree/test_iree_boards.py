"""Machine code on boards: a release's whole life on one that runs it, and refusals before anything runs on those that do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from command_line import command_line
from compiled_graphs import network
from flat_requests import deploy_request

from edgewright.compile import machine_code as host_code
from edgewright.config import fleet as fleets
from edgewright.config import home
from edgewright.deployments import preflight
from edgewright.deployments.deployment import deploy
from edgewright.deployments.preflight import NoFit
from edgewright.lab.boards import LabBoard
from edgewright.nouns import cpu as known
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.cpu import CPUS, Cpu
from edgewright.nouns.facts import Facts, PythonFacts
from edgewright.nouns.measurement import Protocol
from edgewright.nouns.project import Budget
from edgewright.store.artifacts import ArtifactStore
from edgewright.store.history import History
from edgewright_agent.board import sensors
from edgewright_agent.child import machine_code
from edgewright_agent.protocol import AgentError

PI4 = ("fp", "asimd", "evtstrm", "crc32", "cpuid")
# the test checks outcomes, not speed
BRIEF = Protocol(name="brief", rounds=1, warmup_s=0.01, steady_s=0.05, min_samples=11, limit_s=60.0)


def facts(
    arch: str = "aarch64", features: tuple[str, ...] | None = PI4, platform: str = "linux-aarch64"
) -> Facts:
    python = PythonFacts(version="3.11.2", executable="/usr/bin/python3", platform=platform)
    return Facts(arch=arch, cpu="Cortex-A72", cpu_features=features, python=python)


@pytest.fixture(scope="module")
def for_cpu(
    compiled: Callable[..., Artifact], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Cpu], Artifact]:
    """`for_cpu(cpu)`: an artifact for it."""
    source = network(tmp_path_factory.mktemp("net") / "net.onnx")
    return lambda cpu: compiled(source, cpu=cpu)


def test_a_board_is_refused_what_its_cpu_lacks(for_cpu: Callable[[Cpu], Artifact]) -> None:
    made = for_cpu(CPUS["aarch64", "cortex-a76"]).manifest
    with pytest.raises(
        NoFit, match=r"compiled for cortex-a76 \(aarch64\), Cortex-A72 of pi lacks atomics, .*asimddp"
    ) as caught:
        preflight.check_cpu(facts(), made, board="pi")
    assert "--cpu cortex-a72" in caught.value.hint
    with pytest.raises(NoFit, match=r"pi is armv7l"):
        preflight.check_cpu(facts(platform="linux-armv7l"), made, board="pi")
    with pytest.raises(NoFit, match=r"pi is x86_64"):
        preflight.check_cpu(facts("x86_64", platform="linux-x86_64"), made, board="pi")
    with pytest.raises(NoFit, match="lacks fp, asimd"):
        preflight.check_cpu(facts(features=()), made, board="pi")
    preflight.check_cpu(facts(features=CPUS["aarch64", "cortex-a78"].features), made, board="pi")
    preflight.check_cpu(facts(features=None), made, board="pi")  # an older agent: the board checks it itself
    plain = msgspec.structs.replace(made, cpu=None)
    preflight.check_cpu(facts(features=()), plain, board="pi")
    assert b'"cpu"' in made.canonical() and b'"cpu"' not in plain.canonical()


def test_a_board_checks_the_code_again_before_it_loads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(
        "flags\t\t: fpu cmov cx8 fxsr mmx sse sse2\n\nflags\t\t: fpu cmov cx8 fxsr mmx sse\n"
    )
    monkeypatch.setattr(sensors, "TOP", str(tmp_path))
    monkeypatch.setattr(machine_code.platform, "machine", lambda: "x86_64")
    for cpu, lacks in (
        (CPUS["x86_64", "x86-64"], "compiled for x86-64 (x86_64), this CPU lacks sse2"),  # one core lacks it
        (CPUS["aarch64", "cortex-a76"], "compiled for cortex-a76 (aarch64), this CPU lacks aarch64"),
    ):
        with pytest.raises(AgentError) as caught:
            machine_code.check(msgspec.to_builtins(cpu))
        assert caught.value.code == "load-failed" and lacks in caught.value.message
    (tmp_path / "proc/cpuinfo").write_text("flags\t\t: fpu cmov cx8 fxsr mmx sse sse2\n")
    machine_code.check(msgspec.to_builtins(CPUS["x86_64", "x86-64"]))


@pytest.mark.slow
def test_a_release_on_a_board_that_runs_it_and_one_that_does_not(
    lab_up: Callable[..., list[LabBoard]], module_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A board that poses as a Pi 5 has this machine's CPU: code for a Cortex-A76 must not reach it."""
    monkeypatch.chdir(module_home)
    lab_up(2, name="i", profiles=("generic-x86_64", "pi5"))
    fleet = fleets.load(Path("fleet.toml"))
    releases = []
    for seed in (1, 2):
        request = deploy_request(
            fleet=fleet, boards=tuple(fleet.boards.values()), name="net", source=network(tmp_path / f"net{seed}.onnx", seed),
            target="iree", precision="fp32", protocol=BRIEF, budget=Budget(max_slowdown=50.0),
        )  # fmt: skip
        good, refused = deploy(request, history=History())
        assert good.outcome == "committed", good.message
        assert good.measurement is not None and good.measurement.latency.n >= BRIEF.min_samples
        assert good.runtime == "iree-base-runtime 3.13.0"
        assert (
            refused.outcome == "failed" and "lacks fp, asimd" in refused.message and refused.sent_bytes == 0
        )
        releases.append(good.release)
    store = ArtifactStore(home.folder("artifacts"))
    here = known.best("x86_64", host_code.features())  # the board's, as its profile names no CPU
    assert [store.manifest(one.artifact).cpu for one in (good, refused)] == [
        here,
        CPUS["aarch64", "cortex-a76"],
    ]
    ran = command_line("rollback", "net", "--on", "i-1", "--json")
    assert ran.code == 0 and ran.json["outcomes"][0]["current"] == releases[0] != releases[1]
    ran = command_line("bench", refused.artifact, "--on", "i-2", "--protocol", "quick", "--json")
    assert ran.code != 0 and "lacks fp, asimd" in ran.out
