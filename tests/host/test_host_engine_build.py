"""What `doctor` says of a Jetson's memory before an engine is built there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edgewright.doctor import engine_build
from edgewright.nouns.facts import Facts

ZRAM = ("/dev/zram0", "partition", "507436", "0", "5")
FILE = ("/swapfile", "file", "4194300", "0", "-2")
NANO = Facts(
    model="NVIDIA Jetson Nano Developer Kit", jetpack="R32.7.1", accelerators=("cuda", "gpu"), memory_mb=3964,
    memory_available_mb=2745,
)  # fmt: skip


def found(**changes: Any) -> str:
    one = engine_build.finding(msgspec.structs.replace(NANO, **changes))
    return "" if one is None else f"{one.message}; {one.hint}"


def test_enough_free_memory_needs_no_advice() -> None:
    assert found() == ""
    assert found(memory_mb=62841, memory_available_mb=56320, displays=1) == ""


def test_a_desktop_takes_part_of_a_small_memory() -> None:
    said = found(displays=1, swaps=(ZRAM,))
    assert "2745 MiB are free" in said and "a desktop session" in said
    assert "systemctl isolate multi-user.target" in said and "zram, 495 MiB" in said and "a swap file" in said


@pytest.mark.parametrize(
    ("swaps", "words"),
    [
        ((), "no swap"),
        ((ZRAM,), "swap only in compressed memory (zram, 495 MiB)"),
        ((FILE,), "4095 MiB of swap;"),
        ((FILE, ZRAM), "4095 MiB of swap and 495 MiB of zram"),
    ],
)
def test_little_free_memory_is_said_with_the_swap(swaps: tuple[tuple[str, ...], ...], words: str) -> None:
    said = found(memory_available_mb=900, swaps=swaps)
    assert "900 MiB are free" in said and words in said
    assert ("a swap file" in said) == (FILE not in swaps)
    assert "not run on hardware" in said


def test_other_boards_and_simulated_memory_are_left_alone() -> None:
    assert found(memory_available_mb=900, jetpack="") == ""
    assert found(memory_available_mb=900, accelerators=()) == ""
    assert found(memory_available_mb=900, simulated=("memory_mb",)) == ""
    assert found(memory_available_mb=0) == ""
