"""What `edgewright doctor` prints about a board, from the facts of real boards."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from edgewright.cli.views.doctor import rows
from edgewright.doctor.board import diagnose
from edgewright.nouns.board import Board
from edgewright.nouns.facts import Facts

BOARDS = Path(__file__).parents[1] / "agent_measure/boards"


def printed(name: str, **changes: object) -> dict[str, str]:
    told = json.loads((BOARDS / name / "facts.json").read_text())
    facts = msgspec.convert({**told, "root": "/home/pi/.edgewright", **changes}, Facts)
    return dict(rows(diagnose(Board(name="kitchen", address="192.0.2.7"), facts)))


@pytest.mark.parametrize(
    ("board", "expected"),
    [
        (
            "pi5",
            {
                "board": "Raspberry Pi 5 Model B Rev 1.0",
                "machine": "aarch64, 4 x Cortex-A76, 8061 MiB (7424 available)",
                "profile": "pi5",
                "system": "Debian GNU/Linux 12 (bookworm), kernel 6.6.31+rpt-rpi-2712, pages of 16 KiB",
                "python": "3.11.2, linux-aarch64, glibc 2.36",
                "ssh": "OpenSSH 9.2p1",
                "temperature": "cpu-thermal 52.4 C (CPU)",
                "speed": "governor ondemand, not throttled since boot",
            },
        ),
        (
            "jetson-nano",
            {
                "system": "Ubuntu 18.04.6 LTS, L4T R32.7.1, kernel 4.9.253-tegra, pages of 4 KiB",
                "runtimes": "tensorrt 8.2.1.8 (its own)",
                "can get": "onnxruntime 1.10.0 (onnxruntime), ncnn 1.0.20250503 (ncnn), apache-tvm 0.27.0.post1 (tvm)",
                "temperature": "CPU-therm 34.5 C (CPU), AO-therm 46.0 C, GPU-therm 33.0 C, PLL-therm 32.0 C, "
                "thermal-fan-est 33.8 C",
                "speed": "governor schedutil, power mode MAXN",
            },
        ),
        ("pi4b-alpine", {"python": "3.11.8, linux-aarch64, musl 1.2.4", "runtimes": "none"}),
        (
            "pi4b-32bit-userland",
            {"profile": "pi4b", "can get": "tflite-runtime 2.14.0 (tflite), ncnn 1.0.20261020 (ncnn)"},
        ),
        ("pi-zero-w", {"profile": "none fits", "machine": "armv6l, 1 x ARM1176, 433 MiB (322 available)"}),
    ],
)
def test_the_facts_are_shown(board: str, expected: dict[str, str]) -> None:
    shown = printed(board)
    assert {name: shown.get(name) for name in expected} == expected


def test_what_a_board_does_not_have_is_left_out() -> None:
    assert "can get" not in printed("pi4b-alpine")
    shown = printed("pi5", thermal=[], governor="", throttled_flags=None, simulated=["memory_mb"])
    assert not {"temperature", "speed"} & set(shown)
    assert shown["machine"].endswith("8061 MiB"), "the free part of a substituted memory is another machine's"
    assert shown["simulated"] == "memory_mb"
    empty = dict(rows(diagnose(Board(name="kitchen", address="192.0.2.7"), Facts())))
    assert empty["python"] == "unknown, unknown, unknown libc"
