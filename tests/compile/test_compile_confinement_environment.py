"""The environment of a confined worker: a separate HOME, and no secrets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgewright.compile.workers.pool import Workers, as_user
from edgewright.compile.workers.private_environment import VARIABLES, private


def test_a_worker_has_a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KERAS_HOME", "SSH_AUTH_SOCK"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", "tests:/else")
    with Workers(tmp_path / "log") as workers:
        seen = {
            name: workers.call("x", "os", "getenv", key=name)
            for name in ("HOME", "KERAS_HOME", "SSH_AUTH_SOCK", "TMPDIR")
        }
        assert seen == {
            "HOME": f"{seen['TMPDIR']}/home",
            "KERAS_HOME": None,
            "SSH_AUTH_SOCK": None,
            "TMPDIR": seen["TMPDIR"],
        }
        assert workers.call("x", "os", "getenv", key="PYTHONPATH") == f"{Path.cwd() / 'tests'}:/else"
        assert workers.call(as_user("x"), "os", "getenv", key="HOME") == os.environ.get("HOME")


def test_a_worker_sees_no_secrets_of_the_environment(tmp_path: Path) -> None:
    kept = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "OMP_NUM_THREADS": "2",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TMPDIR": "/x",
        "PYTHONHASHSEED": "0",
    }
    secrets = ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "GITHUB_TOKEN", "DATABASE_URL", "SSH_AUTH_SOCK", "KERAS_HOME", "TF_API_KEY", "XDG_CACHE_HOME")  # fmt: skip
    (tmp_path / "a").mkdir()
    found = private({**kept, **dict.fromkeys(secrets, "x")}, tmp_path)
    assert kept.items() <= found.items() and not set(secrets) & set(found)
    asked = private({"ACME_LICENCE": "x", VARIABLES: "ACME_LICENCE, ACME_HOST", "OTHER": "y"}, tmp_path / "a")
    assert asked["ACME_LICENCE"] == "x" and "OTHER" not in asked
