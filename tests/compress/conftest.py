"""Settings of the frameworks in this process."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("digits_net.py")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Threads of two processes that wait for each other make small networks ten times slower."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # of processes that tests start
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def digits(kept_between_runs: Path) -> Path:
    """A folder with train.npz, test.npz and digits.keras."""
    place = kept_between_runs / f"digits-{hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:16]}"
    place.mkdir(exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "digits.keras").is_file():
            subprocess.run([sys.executable, "-W", "ignore", str(SCRIPT), str(place)], check=True, timeout=300)
    return place


@pytest.fixture
def here(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return digits
