"""ARCHITECTURE.md names files that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = [
    ROOT / room
    for room in (".", "host/edgewright", "agent", "agent/edgewright_agent", "targets/edgewright_targets")
]
EXAMPLE = "precisions/int8_strict.py"  # of what is not there yet


def missing(text: str) -> list[str]:
    """Paths in backticks that are not there; `*` stands for any name, and `.py` may be left out."""
    named = re.findall(r"`([\w.*-]+/[\w./*-]*)`", text)
    return [path for path in named if not any(is_there(room, path) for room in ROOMS)]


def is_there(room: Path, path: str) -> bool:
    return any(any(room.glob(one)) for one in (path.rstrip("/"), f"{path}.py"))


def test_every_path_is_there() -> None:
    assert missing((ROOT / "ARCHITECTURE.md").read_text()) == [EXAMPLE]


def test_a_path_that_is_gone_is_seen() -> None:
    assert missing("`compile/verdict/`, `records.py`, `lab/boards.py`, `compile/sources/*_layers.py`") == [
        "compile/verdict/"
    ]
