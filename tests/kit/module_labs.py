"""Labs of simulated boards, which are always taken down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgewright.lab import boards
from edgewright.lab.boards import LabBoard


@pytest.fixture(scope="module")
def lab_up(module_home: Path) -> Iterator[Callable[..., list[LabBoard]]]:
    """`lab_up(count, name="f", **options of lab.boards.up)`: boards that live as long as the module."""

    def up(count: int = 1, *, name: str = "f", **options: Any) -> list[LabBoard]:
        return boards.up(count, fleet_path=module_home / "fleet.toml", name=name, **options)

    yield up
    if boards.listing():
        boards.down()
