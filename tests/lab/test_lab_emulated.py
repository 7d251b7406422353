"""Emulated boards: an arm64 Debian with its own sshd and Python under qemu, through the whole main job."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flat_requests import deploy_request

from edgewright import targets
from edgewright.cli.main import main
from edgewright.compile.workers.pool import Workers
from edgewright.config import fleet as fleets
from edgewright.config import profiles
from edgewright.deployments.deployment import deploy
from edgewright.deployments.request import DeployRequest
from edgewright.deployments.rollback import RollbackRequest, rollback
from edgewright.lab import processes
from edgewright.lab.emulation import userland, userland_board
from edgewright.lab.emulation.architectures import ARM64, Emulation
from edgewright.lab.registry.state import LabError
from edgewright.nouns.measurement import Protocol
from edgewright.nouns.progress import ProgressEvent
from edgewright.nouns.project import Budget
from edgewright.store.history import History

DIGITS = Path(__file__).parents[2] / "examples/digits"
BRIEF = Protocol(name="brief", rounds=1, warmup_s=0.01, steady_s=0.05, min_samples=11, limit_s=300.0)
TRIXIE = Emulation(architecture=ARM64, suite="trixie")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("emulator")
def test_an_arm64_board_takes_a_release_and_gives_it_back(run, here: Path, workers: Workers) -> None:
    code, document = run("lab", "up", "--arch", "arm64", "--boards", "1", "--profile", "pi4b")
    assert code == 0 and document["boards"][0]["suite"] == "bookworm"
    code, document = run("lab", "up", "--boards", "1", "--profile", "pi4b")
    assert code == 1 and document["code"] == "lab-exists", "a lab of another architecture is another lab"
    code, document = run("doctor", "lab-1")
    facts = document["boards"][0]["result"]["facts"]
    assert facts["arch"] == "aarch64" != platform.machine()
    assert facts["model"] == "Raspberry Pi 4 Model B"
    assert facts["cpu"] == "Cortex-A72"
    assert facts["python"]["version"].startswith("3.11")
    assert facts["python"]["platform"] == "linux-aarch64"
    assert facts["distribution"] == "Debian GNU/Linux 12 (bookworm)"
    assert {"arch", "cpu", "model", "serial", "memory_mb"} <= set(facts["simulated"])
    whole_job("lab-1", "tflite", workers)
    program = here / "lab/lab/lab-1/image/usr/bin/true"
    with pytest.raises(
        OSError, match="Exec format error"
    ):  # the board runs such programs, this machine does not
        subprocess.run([program], check=False)


@pytest.mark.usefixtures("emulator")
def test_an_emulated_boards_facts_are_its_userlands(run, here: Path) -> None:
    assert run("lab", "up", "--arch", "arm64", "--boards", "1", "--profile", "pi4b")[0] == 0
    image = (here / "lab/lab/lab-1/image").readlink()
    assert list(image.glob("usr/lib/python3.11/__pycache__/argparse.*.pyc")), "each program would compile it"
    libc = (image / "usr/lib/aarch64-linux-gnu/libc.so.6").read_bytes()
    ssh = (image / "usr/bin/ssh").read_bytes()
    # what only this board has: its own process sees it, this machine does not
    board = Path("/proc", (here / "lab/lab/lab-1/server.pid").read_text().strip(), "root")
    zone = board / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "type").write_text("cpu-thermal\n")
    (zone / "temp").write_text("48312\n")
    release = board / "etc/os-release"
    said = release.read_text()
    release.write_text(said.replace("Debian GNU/Linux 12", "Debian GNU/Linux 12 of a board"))
    diagnosis = run("doctor", "lab-1")[1]["boards"][0]["result"]
    release.write_text(said)
    (zone / "temp").unlink()
    facts = diagnosis["facts"]
    assert facts["page_size"] == 4096
    assert facts["libc"] == {"name": "glibc", "version": re.search(rb"GLIBC (\d+\.\d+)", libc)[1].decode()}
    assert facts["openssh"] == re.search(rb"OpenSSH_(\d+\.\d+p\d+)", ssh)[1].decode()
    assert facts["distribution"] == "Debian GNU/Linux 12 of a board (bookworm)"
    assert facts["thermal"] == [{"zone": "cpu-thermal", "temperature_c": 48.312, "cpu": True}]
    assert facts["jetpack"] == facts["governor"] == "" and facts["throttled_flags"] is None
    assert diagnosis["profile"] == "pi4b"
    assert [one["target"] for one in diagnosis["targets"]] == list(profiles.load("pi4b").targets)
    assert all(one["runtime"] for one in diagnosis["targets"])


def request(board: str, target: str, model: str, **more: Any) -> DeployRequest:
    """A digits model to a board of the fleet, as int8 if the target makes it. Few samples, since an emulated board's speed means nothing."""
    fleet = fleets.load(Path("fleet.toml"))
    return deploy_request(
        fleet=fleet, boards=(fleet.boards[board],), name=f"digits-{target}", source=DIGITS / f"digits-{model}.keras",
        target=target, precision="int8" if "int8" in targets.load(target).precisions else "fp32", calibration=DIGITS / "calibration.npz", protocol=BRIEF,
        budget=Budget(max_slowdown=50.0), **more,
    )  # fmt: skip


def whole_job(board: str, target: str, workers: Workers) -> None:
    """Convert, provision, deploy, verify, score, measure; again with the next model; and back."""
    ask = request(board, target, "v1", evaluation=DIGITS / "evaluation.npz")
    (first,) = deploy(ask, history=History(), workers=workers)
    assert first.outcome == "committed", first.message
    checks = {check.name: check for check in first.checks}
    assert all(check.ok for check in checks.values()) and (checks["answers"].value or 0) > 15
    assert checks["accuracy against its source"].value is not None
    assert first.measurement is not None and first.measurement.latency.n >= BRIEF.min_samples
    assert target in first.runtime.replace("ai-edge-litert", "tflite")
    (second,) = deploy(request(board, target, "v4"), history=History(), workers=workers)
    assert second.outcome == "committed", second.message
    assert second.incumbent is not None and second.incumbent.release == first.release
    back = RollbackRequest(fleet=ask.fleet, boards=ask.boards, model=ask.name)
    (outcome,) = rollback(back, history=History())
    assert outcome.outcome == "committed" and outcome.current == first.release != second.release


@pytest.mark.exhaustive  # their suites and answers on arm64 are in CI in tests/conformance
@pytest.mark.timeout(900)
@pytest.mark.parametrize("target", ["iree", "onnxruntime", "openvino", "tvm"])
@pytest.mark.usefixtures("emulator")
def test_the_other_runtimes_run_on_arm64(
    run, here: Path, workers: Workers, toolchain_folder, target: str
) -> None:
    if target == "tvm":
        (here / "toolchains").mkdir()
        (here / "toolchains/apache-tvm").symlink_to(toolchain_folder("apache-tvm"))
    assert run("lab", "up", "--arch", "arm64", "--boards", "1", "--profile", "pi4b")[0] == 0
    whole_job("lab-1", target, workers)
    code, document = run("bench", f"digits-{target}", "--on", "lab-1", "--protocol", "quick")
    assert code == 0
    assert document["boards"][0]["result"]["measurements"][0]["latency"]["p50"] > 0


UP = ("lab", "up", "--arch", "arm64", "--vm", "--boards", "1", "--profile", "pi4b", "--name", "pi")


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("machine")
def test_a_machine_says_what_it_is(run, here: Path) -> None:
    code, document = run(*UP)
    assert code == 0 and document["boards"][0]["machine"] is True
    facts = run("doctor", "pi-1")[1]["boards"][0]["result"]["facts"]
    said = (facts["model"], facts["arch"], facts["cpu"])
    assert said == ("Raspberry Pi 4 Model B", "aarch64", "Cortex-A72")
    assert facts["kernel"] != platform.release() and facts["root_problem"] == ""


@pytest.mark.exhaustive
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("machine")
def test_ctrl_c_while_a_machine_starts_leaves_nothing(here: Path) -> None:
    program = "import sys; from edgewright.cli.main import main; sys.exit(main(sys.argv[1:]))"
    pid_file = here / "lab/half/half-1/server.pid"
    with subprocess.Popen(
        [sys.executable, "-c", program, *UP[:-1], "half"], start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        until = time.monotonic() + 300
        while not (pid_file.exists() and pid_file.read_text().strip()) and time.monotonic() < until:
            time.sleep(0.05)
        emulator = int(pid_file.read_text())
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does; the emulator has its own session
        _, said = process.communicate(timeout=200)
    assert process.returncode == 8 and "Traceback" not in said
    assert processes.started(emulator) == "" and not (here / "lab/half").exists()
    fleet = here / "fleet.toml"
    assert not fleet.exists() or "half-1" not in fleet.read_text()


@pytest.mark.exhaustive  # in CI on the lighter kind of board, above; the next test deploys to a machine
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("target", ["tflite", "onnxruntime", "openvino"])
@pytest.mark.usefixtures("machine")
def test_a_machine_takes_a_release_and_gives_it_back(run, here: Path, workers: Workers, target: str) -> None:
    assert run(*UP)[0] == 0  # it runs already, but for the first
    whole_job("pi-1", target, workers)


@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("machine")
def test_a_machine_that_loses_its_power_in_a_trial_comes_back_with_the_old_release(
    run, here: Path, workers: Workers
) -> None:
    assert run(*UP)[0] == 0
    (outcome,) = deploy(request("pi-1", "tflite", "v1"), history=History(), workers=workers)
    assert outcome.outcome in ("committed", "unchanged"), outcome.message
    good = outcome.current

    hook, on_trial = here / "health.sh", threading.Event()
    hook.write_text("#!/bin/sh\nsleep 50\n")
    slow = request("pi-1", "tflite", "v2", hooks={"health": hook}, unguarded=True)

    def watch(step: ProgressEvent) -> None:
        if step.stage == "activate":
            on_trial.set()

    with ThreadPoolExecutor(1) as pool:
        deploying = pool.submit(deploy, slow, history=History(), workers=workers, progress=watch)
        assert on_trial.wait(600), "it never came to the activation"
        time.sleep(8)  # the hook sleeps: the new release is on trial
        os.kill(int((here / "lab/pi/pi-1/server.pid").read_text()), signal.SIGKILL)
        (outcome,) = deploying.result()
    assert outcome.outcome in ("unreachable", "unknown") and outcome.release != good
    assert run(*UP)[0] == 0
    document = run("status", "pi-1")[1]
    model = document["boards"][0]["result"]["models"]["digits-tflite"]
    assert (model["current"], model["trial"]) == (good, None)


def test_an_unknown_suite_architecture_and_mirror_are_one_line(run, here: Path, capsys) -> None:
    with pytest.raises(LabError, match="no such suite for arm64: woody"):
        userland.ready(Emulation(architecture=ARM64, suite="woody"))
    with pytest.raises(LabError, match="not the address of a Debian archive"):
        userland.ready(TRIXIE, mirror="ftp; rm -rf")
    assert main(["lab", "up", "--arch", "riscv64"]) == 64
    assert "no such architecture" in capsys.readouterr().err


def test_a_kernel_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        release = "6.6.31+rpt-rpi-v8"

    monkeypatch.setattr(userland_board.os, "uname", Old)
    with pytest.raises(LabError, match=r"needed is 6\.7") as caught:
        userland_board.qemu(ARM64)
    assert "--vm" in caught.value.hint


def test_an_archive_that_cannot_be_reached_leaves_nothing(home: Path) -> None:
    with pytest.raises(LabError, match="apt-get failed"):
        userland.ready(TRIXIE, mirror="http://127.0.0.1:9/debian")
    assert [path.name for path in (home / "userlands").iterdir()] == [".lock"]
