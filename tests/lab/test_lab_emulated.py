"""Emulated boards: an arm64 Debian with its own sshd and Python under qemu, through the whole main job."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgewright.cli.main import main
from edgewright.lab import emulation, userland
from edgewright.lab.record import LabError

DIGITS = Path(__file__).parents[2] / "examples/digits"
LENIENT = """\
name = "digits"
model = "{model}"

[budget]
max_slowdown = 50.0
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    """A state folder that the tests of this module share: the userlands are made once."""
    folder = tmp_path_factory.mktemp("emulated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_HOME", str(folder))
        patch.chdir(folder)
        # how fast an emulated board is says nothing: no release is to be refused for it
        (folder / "lenient.toml").write_text(LENIENT.format(model=DIGITS / "digits-v1.keras"))
        yield folder
        assert main(["lab", "down"]) == 0


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]):
    """Runs a command; its exit code and its JSON document."""

    def call(*arguments: str) -> tuple[int, dict]:
        code = main([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return call


def deployed(run, board: str, target: str, model: str = "digits-v1.keras") -> dict:
    """The outcome of deploying a digits model as int8."""
    code, document = run(
        "deploy", str(DIGITS / model), "--to", board, "--name", f"digits-{target}", "--target", target,
        "--precision", "int8", "--calibration", str(DIGITS / "calibration.npz"),
        "--evaluation", str(DIGITS / "evaluation.npz"), "--project", "lenient.toml",
    )  # fmt: skip
    assert code == 0, json.dumps(document.get("outcomes", document))
    return document["outcomes"][0]


def main_job(run, board: str, target: str) -> None:
    """Deploy twice, measure, roll back; right answers each time."""
    first = deployed(run, board, target)
    assert first["outcome"] == "committed"
    answers = next(check for check in first["checks"] if check["name"] == "answers")
    assert answers["ok"] and answers["value"] > 15
    assert deployed(run, board, target, "digits-v4.keras")["outcome"] == "committed"
    code, document = run("rollback", f"digits-{target}", "--on", board)
    assert code == 0
    assert document["outcomes"][0]["current"] == first["release"]


def test_an_arm64_board_takes_a_release_and_gives_it_back(run, home: Path) -> None:
    code, document = run("lab", "up", "--arch", "arm64", "--boards", "1", "--profile", "pi4b")
    assert code == 0 and document["boards"][0]["suite"] == "bookworm"
    code, document = run("lab", "up", "--boards", "1", "--profile", "pi4b")
    assert code == 1 and document["error"]["code"] == "lab-exists", (
        "a lab of another architecture is another lab"
    )
    code, document = run("doctor", "lab-1")
    facts = document["boards"][0]["result"]["facts"]
    assert facts["arch"] == "aarch64" != platform.machine()
    assert facts["model"] == "Raspberry Pi 4 Model B"
    assert facts["cpu"] == "Cortex-A72"
    assert facts["python"]["version"].startswith("3.11")
    assert facts["python"]["platform"] == "linux-aarch64"
    assert facts["distribution"] == "Debian GNU/Linux 12 (bookworm)"
    assert {"arch", "cpu", "model", "serial", "memory_mb"} <= set(facts["simulated"])
    main_job(run, "lab-1", "tflite")
    program = next((home / "userlands").glob("bookworm-*/usr/bin/true"))
    with pytest.raises(
        OSError, match="Exec format error"
    ):  # the board runs such programs, this machine does not
        subprocess.run([program], check=False)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_the_other_runtimes_run_on_arm64(run, home: Path, target: str) -> None:
    assert run("lab", "up", "--arch", "arm64", "--boards", "1", "--profile", "pi4b")[0] == 0
    main_job(run, "lab-1", target)
    code, document = run("bench", f"digits-{target}", "--on", "lab-1", "--protocol", "quick")
    assert code == 0
    assert document["boards"][0]["result"][0]["latency"]["p50"] > 0


WITH_A_SLOW_HOOK = """
[hooks]
health = "health.sh"
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_machine_that_loses_its_power_in_a_trial_comes_back_with_the_old_release(run, home: Path) -> None:
    up = ("lab", "up", "--arch", "arm64", "--vm", "--boards", "1", "--profile", "pi4b", "--name", "pi")
    code, document = run(*up)
    assert code == 0 and document["boards"][0]["machine"] is True
    facts = run("doctor", "pi-1")[1]["boards"][0]["result"]["facts"]
    assert (facts["model"], facts["arch"], facts["cpu"]) == (
        "Raspberry Pi 4 Model B",
        "aarch64",
        "Cortex-A72",
    )
    assert facts["kernel"] != platform.release() and facts["root_problem"] == ""
    code, document = run(
        "deploy", str(DIGITS / "digits-v1.keras"), "--to", "pi-1", "--name", "digits", "--target", "tflite",
        "--precision", "int8", "--calibration", str(DIGITS / "calibration.npz"), "--unguarded", "--project", "lenient.toml",
    )  # fmt: skip
    assert code == 0, json.dumps(document.get("outcomes", document))
    good = document["outcomes"][0]["release"]

    (home / "health.sh").write_text("#!/bin/sh\nsleep 50\n")
    project = LENIENT.format(model=DIGITS / "digits-v4.keras") + WITH_A_SLOW_HOOK
    (home / "slow.toml").write_text(project)
    command = ["-c", "import sys; from edgewright.cli.main import main; sys.exit(main(sys.argv[1:]))"]
    command += [
        "deploy",
        "--to",
        "pi-1",
        "--target",
        "tflite",
        "--unguarded",
        "--json",
        "--project",
        "slow.toml",
    ]
    command += ["--precision", "int8", "--calibration", str(DIGITS / "calibration.npz")]
    with subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as deploying:  # fmt: skip
        assert any("activate" in line for line in deploying.stderr), "it never came to the activation"
        time.sleep(8)  # the hook sleeps: the new release is on trial
        os.kill(int((home / "lab/pi/pi-1/server.pid").read_text()), signal.SIGKILL)
        outcome = json.loads(deploying.stdout.read())["outcomes"][0]
    assert outcome["outcome"] in ("unreachable", "unknown") and outcome["release"] != good
    assert run(*up)[0] == 0
    code, document = run("status", "pi-1")
    model = document["boards"][0]["result"]["models"]["digits"]
    assert (model["current"], model["trial"]) == (good, None)


def test_an_unknown_suite_architecture_and_mirror_are_one_line(run, home: Path, capsys) -> None:
    with pytest.raises(LabError, match="no such suite: woody"):
        userland.ready("woody")
    with pytest.raises(LabError, match="not the address of a Debian archive"):
        userland.ready("trixie", mirror="ftp; rm -rf")
    assert main(["lab", "up", "--arch", "riscv64"]) == 64
    assert "no such architecture" in capsys.readouterr().err


def test_a_kernel_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        release = "6.6.31+rpt-rpi-v8"

    monkeypatch.setattr(emulation.os, "uname", Old)
    with pytest.raises(LabError, match=r"needed is 6\.7") as caught:
        emulation.qemu()
    assert "--vm" in caught.value.hint


def test_an_archive_that_cannot_be_reached_leaves_nothing(home: Path) -> None:
    before = set((home / "userlands").iterdir()) if (home / "userlands").is_dir() else set()
    with pytest.raises(LabError, match="apt-get failed"):
        userland.ready("trixie", mirror="http://127.0.0.1:9/debian")
    left = set((home / "userlands").iterdir()) - before
    assert {path.name for path in left} <= {".lock"}
