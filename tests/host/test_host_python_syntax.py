"""Only one thread at a time parses Python source."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import edgewright
from edgewright import targets
from edgewright.connect.agent import compact

HOST = Path(edgewright.__file__).parent
LONG = HOST / "compile/pipeline.py"


@pytest.fixture
def switching() -> Iterator[None]:
    """Makes garbage collection switch threads often enough to do so in the middle of a parse."""
    before = gc.get_threshold()
    gc.callbacks.append(switch)
    gc.set_threshold(100, 1000, 1000)
    yield
    gc.set_threshold(*before)
    gc.callbacks.remove(switch)


def switch(phase: str, about: dict[str, int]) -> None:
    time.sleep(0)


def declared() -> None:
    """Parses the record of a plug-in's target."""
    assert not list(targets._lacking("odd.pipeline", ("plan",), "odd", LONG.parent))


def packed() -> None:
    """Parses the sources of a runner."""
    assert compact.parsed("pipeline.py", LONG.read_text()).body


@pytest.mark.parametrize("one", [declared, packed])
def test_threads_parse_at_once(switching: None, one: Callable[[], None]) -> None:
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for work in (one, packed) * 20]:
            done.result()


def test_nothing_else_parses() -> None:
    parsing = [file for file in HOST.rglob("*.py") if "ast.parse(" in file.read_text()]
    assert parsing == [HOST / "python_syntax.py"]
