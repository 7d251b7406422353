from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edgewright.doctor.board import diagnose, guarded
from edgewright.errors import ConfigError
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts, LibcFacts, PythonFacts, RuntimeFact, ThermalZone
from edgewright.runtimes.profile_match import profile_of
from edgewright.wire import commands

BOARD = Board(name="kitchen", address="192.0.2.1", profile="pi4b")
PI = Facts(
    model="Raspberry Pi 4 Model B Rev 1.4", arch="aarch64", cpus=4, memory_mb=3793, disk_free_bytes=8 * 1024**3, disk_free_inodes=10**6, guard="cron",
    governor="performance", libc=LibcFacts(name="glibc", version="2.36"),
    python=PythonFacts(version="3.11.2", executable="/usr/bin/python3", platform="linux-aarch64", tag="cp311"),
    runtimes=(RuntimeFact(ref="system:tflite-runtime", name="tflite-runtime", target="tflite", version="2.14.0", system=True),),
)  # fmt: skip

ZONES = (
    ThermalZone(zone="gpu-thermal", temperature_c=95.0),
    ThermalZone(zone="cpu-thermal", temperature_c=80.6, cpu=True),
)


def found(**changes: Any) -> list[tuple[str, str]]:
    diagnosis = diagnose(BOARD, msgspec.structs.replace(PI, **changes))
    return [(finding.level, finding.message) for finding in diagnosis.findings]


def test_a_board_that_has_all_is_ready() -> None:
    assert found() == []
    assert diagnose(BOARD, PI).ready


@pytest.mark.parametrize(
    ("changes", "level", "word"),
    [
        ({"arch": "x86_64"}, "problem", "aarch64"),
        ({"root_problem": "noexec"}, "problem", "noexec"),
        ({"runtimes": ()}, "advice", "no runtime yet"),
        ({"runtimes": (), "libc": LibcFacts(name="musl", version="1.2")}, "problem", "for musl"),
        ({"disk_free_bytes": 100 * 1024**2}, "advice", "100 MiB"),
        ({"disk_free_bytes": 0}, "problem", "the disk is full: 0 MiB"),
        ({"disk_free_inodes": 0}, "problem", "the disk is full: 0 inodes"),
        ({"governor": "ondemand"}, "advice", "ondemand"),
        ({"guard": "none"}, "advice", "no reboot guard"),
        ({"model": "Raspberry Pi 5 Model B Rev 1.0"}, "advice", "the board says Raspberry Pi 5 Model B Rev 1.0: profile pi5"),
        ({"accelerators": ("gpu", "myriad")}, "advice", "a Neural Compute Stick is plugged in"),
        ({"throttled_flags": 0x50005}, "advice", "now too little voltage, throttled (throttled=0x50005)"),
        ({"throttled_flags": 0x20000}, "advice", "since boot its clock capped (throttled=0x20000)"),
        ({"thermal": ZONES}, "advice", "hot: 81 C (cpu-thermal)"),
        ({"power_mode": "15W"}, "advice", "power mode: 15W"),
    ],
)  # fmt: skip
def test_what_is_lacking_is_said(changes: dict[str, Any], level: str, word: str) -> None:
    findings = found(**changes)
    assert len(findings) == 1, findings
    assert findings[0][0] == level
    assert word in findings[0][1]


@pytest.mark.parametrize(
    "changes",
    [
        {"throttled_flags": 0},
        {"thermal": (ThermalZone(zone="cpu-thermal", temperature_c=79.0, cpu=True),)},
        {"power_mode": "MAXN_SUPER"},
        {"model": "Raspberry Pi Compute Module 4 Rev 1.0"},
        {"model": "a board that says something else"},
    ],
)
def test_what_is_as_it_should_be_is_not_mentioned(changes: dict[str, Any]) -> None:
    assert found(**changes) == []


@pytest.mark.parametrize(
    ("facts", "code", "words", "hint"),
    [
        (
            Facts(arch="armv6l"),
            "no-runtime",
            "no runtime exists for armv6l: hall (unknown model)",
            "take such a board",
        ),
        (
            Facts(arch="x86_64", python=PythonFacts(version="3.11.2", executable="", platform="linux-i686")),
            "no-runtime",
            "no runtime exists for i686: hall (unknown model)",
            "its kernel is x86_64",
        ),
        (
            Facts(model="Pine64"),
            "no-profile",
            "no profile fits hall: Pine64, unknown architecture",
            "[boards.hall]",
        ),
    ],
)
def test_a_board_that_no_profile_fits(facts: Facts, code: str, words: str, hint: str) -> None:
    board = Board(name="hall", address="192.0.2.2")
    with pytest.raises(ConfigError) as caught:
        profile_of(board, facts)
    assert (caught.value.code, caught.value.message) == (code, words)
    assert hint in caught.value.hint
    diagnosis = diagnose(board, facts)
    assert diagnosis.findings[0].message == words
    assert diagnosis.profile == ""
    assert not diagnosis.ready


@pytest.mark.parametrize(
    ("arch", "platform", "name"),
    [
        ("aarch64", "linux-aarch64", "generic-arm64"),
        ("aarch64", "linux-armv7l", "generic-armv7l"),
        ("armv7l", "linux-armv7l", "generic-armv7l"),
        ("x86_64", "linux-x86_64", "generic-x86_64"),
        ("aarch64", "linux-x86_64", "generic-arm64"),  # a simulated board: its architecture is substituted
    ],
)
def test_the_generic_profile_is_that_of_the_system_not_of_the_kernel(
    arch: str, platform: str, name: str
) -> None:
    python = PythonFacts(version="3.11.2", executable="/usr/bin/python3", platform=platform)
    board = Board(name="hall", address="192.0.2.2")
    assert profile_of(board, Facts(arch=arch, python=python)).name == name


def test_a_32_bit_view_of_a_64_bit_kernel_is_its_profiles_kind() -> None:
    python = PythonFacts(version="3.11.2", executable="/usr/bin/python3", platform="linux-armv7l")
    findings = found(arch="armv8l", python=python)
    assert [level for level, _ in findings] == ["advice"]
    assert findings[0][1] == (
        "no wheel of onnxruntime for armv7l; no wheel of openvino for armv7l; no wheel of iree-base-runtime for armv7l; "
        "no wheel of apache-tvm for armv7l"
    )


def test_a_python_that_no_wheels_are_made_for_is_a_problem() -> None:
    python = PythonFacts(version="3.11.2", executable="/usr/bin/python3", platform="freebsd-14-amd64")
    diagnosis = diagnose(BOARD, msgspec.structs.replace(PI, python=python))
    assert [finding.level for finding in diagnosis.findings] == ["problem"]
    assert diagnosis.targets == ()


class Answering:
    """Stands for a board that answers `guard`; the agent's own tests run the real one."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer

    def call(self, command: commands.Guard, **_: Any) -> Any:
        return command.read(self.answer)


def test_a_guard_that_was_not_tested_is_a_problem() -> None:
    good = Answering({"guard": "cron", "tested": True, "why": ""})
    assert guarded(good, True) == []  # type: ignore[arg-type]
    for answer in (
        {"guard": "none", "tested": False, "why": "no crontab"},
        {"guard": "cron", "tested": False, "why": ""},
    ):
        findings = guarded(Answering(answer), True)  # type: ignore[arg-type]
        assert [finding.level for finding in findings] == ["problem"]
    assert guarded(Answering({"guard": "none", "tested": False}), False) == []  # type: ignore[arg-type]
