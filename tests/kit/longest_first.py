"""Runs the longest test files first, so that no worker still has a long one when the others are done.

`seconds.json` has the approximate duration of long tests, only for their order; `pytest --note-seconds` writes it from a run. A test that is
not in it counts as short.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

SECONDS = Path(__file__).with_name("seconds.json")
WORTH_NOTING_S = 2.0
USUAL_S = 0.3


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--note-seconds`, for a run of all tests on an idle machine."""
    parser.addoption("--note-seconds", action="store_true", help=f"write {SECONDS.name} from this run")


def pytest_configure(config: pytest.Config) -> None:
    """Notes durations in the process that gets the reports of all workers."""
    if config.getoption("--note-seconds") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Notes(), "note-seconds")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts files by the total duration of their selected tests; the tests of a file keep their order."""
    known = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
    took: dict[str, float] = defaultdict(float)
    for item in items:
        took[_file(item.nodeid)] += known.get(item.nodeid, USUAL_S)
    items.sort(key=lambda item: -took[_file(item.nodeid)])


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class Notes:
    """Adds up the duration of each test."""

    def __init__(self) -> None:
        self.took: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts set-up, call and teardown."""
        self.took[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Writes the durations, and keeps those of tests that did not run."""
        before = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
        long = {test: round(seconds) for test, seconds in self.took.items() if seconds >= WORTH_NOTING_S}
        kept = {test: seconds for test, seconds in before.items() if test not in self.took}
        SECONDS.write_text(json.dumps({**kept, **long}, indent=1, sort_keys=True) + "\n")
