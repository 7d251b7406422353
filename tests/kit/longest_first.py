"""The order of files: the longest first, so that no worker is left with one when the others are done.

`seconds.json` beside this file has what files took; `pytest --note-seconds` writes it from a run. A file that is
not in it counts as short.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

SECONDS = Path(__file__).with_name("seconds.json")
WORTH_NOTING_S = 20.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--note-seconds`, of a run of everything on an idle machine."""
    parser.addoption("--note-seconds", action="store_true", help=f"write {SECONDS.name} from this run")


def pytest_configure(config: pytest.Config) -> None:
    """The notes are taken where reports of all workers arrive."""
    if config.getoption("--note-seconds") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Notes(), "note-seconds")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts files, not the tests inside them."""
    took = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
    items.sort(key=lambda item: -took.get(item.nodeid.partition("::")[0], 0.0))


class Notes:
    """Adds up what the tests of each file took."""

    def __init__(self) -> None:
        self.took: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Set-up, call and teardown all count."""
        self.took[report.nodeid.partition("::")[0]] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Keeps what files of other runs took."""
        before = json.loads(SECONDS.read_text()) if SECONDS.exists() else {}
        long = {file: round(seconds) for file, seconds in self.took.items() if seconds >= WORTH_NOTING_S}
        kept = {file: seconds for file, seconds in before.items() if file not in self.took}
        SECONDS.write_text(json.dumps({**kept, **long}, indent=1, sort_keys=True) + "\n")
