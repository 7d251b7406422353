"""Progress in plain lines: what begins, and how far a slow transfer is."""

from __future__ import annotations

import pytest

from edgewright.cli import progress
from edgewright.nouns.progress import Step

STEP = Step(
    what="upload", board="kitchen", detail="model.tflite", done=1_258_291, total=3_565_158, rate=64_000.0
)


def test_a_transfer_says_its_rate_and_what_remains():
    assert progress.amount(STEP) == "1.2 of 3.4 MiB, 64.0 kB/s, 36 s left"
    assert progress.amount(Step(what="convert", done=1, total=3)) == ""
    assert progress.amount(Step(what="upload", done=0, total=10, rate=None)) == ""


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (130, "2 min"), (9000, "2.5 h")])
def test_durations(seconds, text):
    assert progress.duration(seconds) == text


def test_a_slow_transfer_is_told_of_every_ten_seconds(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = progress.PlainProgress()
    for second in range(31):
        now[0] = float(second)
        shown(STEP)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4 and "left" not in lines[0]
    assert all(line.endswith("model.tflite 1.2 of 3.4 MiB, 64.0 kB/s, 36 s left") for line in lines[1:])
