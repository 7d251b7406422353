"""State folders: one per test, or one that the tests of a module or session share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """EDGEWRIGHT_HOME of a test: its own, or the shared one that a fixture of the test uses."""
    for shared in ("module_home", "session_home"):
        if shared in request.fixturenames:
            return Path(request.getfixturevalue(shared))
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(folder))
    for variable in ("EDGEWRIGHT_FLEET", "EDGEWRIGHT_HISTORY"):
        monkeypatch.delenv(variable, raising=False)
    return folder


@pytest.fixture(scope="module")
def module_home(tmp_path_factory: pytest.TempPathFactory, kept_between_runs: Path) -> Iterator[Path]:
    """One state folder for a module: its boards live in it."""
    yield from _shared(tmp_path_factory.mktemp("home"), kept_between_runs)


@pytest.fixture(scope="session")
def session_home(tmp_path_factory: pytest.TempPathFactory, kept_between_runs: Path) -> Iterator[Path]:
    """One state folder for all tests that use it: their artifacts are made once."""
    yield from _shared(tmp_path_factory.mktemp("home"), kept_between_runs)


def _shared(folder: Path, kept: Path) -> Iterator[Path]:
    """A state folder whose emulated boards have the userlands of all such folders: each is made once."""
    userlands = kept / "userlands"
    userlands.mkdir(mode=0o700, exist_ok=True)
    (folder / "userlands").symlink_to(userlands)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEWRIGHT_HOME", str(folder))
        patch.setenv("EDGEWRIGHT_FLEET", str(folder / "fleet.toml"))
        patch.delenv("EDGEWRIGHT_HISTORY", raising=False)
        yield folder
