"""Coverage-guided fuzzing of all code that reads foreign bytes, in bounded time and memory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SECONDS = 8
TARGETS = ("host", "request", "manifest", "slot", "npz", "wheel")


def seeds(folder, kit, talk):
    """Valid examples for the fuzzer to start with."""
    folder.mkdir()
    np.savez(folder / "tensors.npz", input_0=np.ones((2, 4), np.float32))
    (folder / "manifest").write_bytes(kit.artifact("seed").manifest)
    (folder / "request").write_text(
        json.dumps({"id": 1, "do": "part", "args": {"sha256": "a" * 64, "size": 1}})
    )
    answers = [
        {"id": 1, "ok": {"models": {}, "lease": None, "problem": ""}},
        {"id": 2, "ok": {}},
        {"id": 3, "event": "bytes", "size": 3},
    ]
    (folder / "answers").write_bytes(b"\x50" + b"".join(talk.line(one) for one in answers))
    (folder / "greeting").write_bytes(b"\x00" + talk.GREETING + talk.line(answers[0]))
    (folder / "path").write_text("a-1.data/purelib/b.py")


@pytest.mark.slow
@pytest.mark.sampled(2)
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_is_found(tmp_path, kit, talk, survived, target):
    seeds(tmp_path / "corpus", kit, talk)
    command = [  # by a shell, since the peak memory of its parent counts as a process's own
        "sh", "-c", '"$@"; exit $?', "sh", sys.executable, str(Path(__file__).with_name("fuzz_target.py")), target, str(tmp_path / "corpus"),
        f"-max_total_time={SECONDS}", "-rss_limit_mb=700", "-timeout=10", "-seed=1", "-max_len=20000", "-print_final_stats=1",
        f"-artifact_prefix={tmp_path}/",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 100)
    assert done.returncode == 0, done.stderr[-4000:]
    tried = int(re.search(r"number_of_executed_units: *(\d+)", done.stderr)[1])
    assert tried > 100
    survived("hostile boards and hosts: inputs found by coverage-guided fuzzing", tried)
