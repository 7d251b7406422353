"""What every test gets: a home folder of its own, so that the developer's is never touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """EDGEWRIGHT_HOME for one test."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("EDGEWRIGHT_HOME", str(folder))
    for variable in ("EDGEWRIGHT_FLEET", "EDGEWRIGHT_HISTORY"):
        monkeypatch.delenv(variable, raising=False)
    return folder


def pytest_sessionstart(session: pytest.Session) -> None:
    """CI without a real sshd is no CI."""
    if os.environ.get("CI") and not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()):
        pytest.exit("no sshd: the tests need a real one (openssh-server)", returncode=1)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """In CI a skip is a failure: what is not run proves nothing."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
