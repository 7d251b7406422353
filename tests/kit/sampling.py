"""Samples of tests with many cases: `@pytest.mark.sampled(5)` leaves all but every fifth slow case to the exhaustive suite.

CI then still sees whether the whole table has stopped working, and `make test-all` which cells have.
"""

from __future__ import annotations

from collections import Counter

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the cases that are left out as exhaustive; before cases are chosen by their marks."""
    seen: Counter[tuple[str, str]] = Counter()
    for item in items:
        mark = item.get_closest_marker("sampled")
        if mark is None or not item.get_closest_marker("slow") or item.get_closest_marker("exhaustive"):
            continue
        (every,) = mark.args
        test = (item.nodeid.partition("::")[0], getattr(item, "originalname", item.name))
        if seen[test] % every:
            item.add_marker(pytest.mark.exhaustive)
        seen[test] += 1
