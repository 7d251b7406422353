"""Progress as plain lines: which step begins, and how far a slow transfer is."""

from __future__ import annotations

import threading

import pytest

from edgewright.cli import progress, render
from edgewright.nouns.progress import ProgressEvent

STEP = ProgressEvent(
    stage="upload", board="kitchen", detail="model.tflite", done=1_258_291, total=3_565_158, rate=64_000.0
)


def test_a_transfer_says_its_rate_and_what_remains():
    assert progress.amount(STEP) == "1.2 of 3.4 MiB, 64.0 kB/s, 36 s left"
    assert progress.amount(ProgressEvent(stage="convert", done=1, total=3)) == ""
    assert progress.amount(ProgressEvent(stage="upload", done=0, total=10, rate=None)) == ""


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


@pytest.mark.parametrize("kind", [progress.LiveProgress, progress.PlainProgress])
def test_a_result_waits_until_a_question_is_answered(kind, monkeypatch):
    shown, asked, answered, steps = kind(), threading.Event(), threading.Event(), []
    if kind is progress.LiveProgress:
        monkeypatch.setattr(shown, "_stop", lambda: steps.append("stop"))
        monkeypatch.setattr(shown, "_start", lambda: steps.append("start"))
        monkeypatch.setattr(render, "live", [shown])

    def ask():
        with shown.away():
            steps.append("question")
            asked.set()
            assert answered.wait(30)
            steps.append("answer")

    def show():
        with shown.away():
            steps.append("result")

    threads = [threading.Thread(target=ask), threading.Thread(target=show)]
    threads[0].start()
    assert asked.wait(30)
    threads[1].start()
    threads[1].join(0.2)
    answered.set()
    for thread in threads:
        thread.join(30)
    displayed = [step for step in steps if step in ("stop", "start")]
    assert [step for step in steps if step not in displayed] == ["question", "answer", "result"]
    assert displayed == (["stop", "start"] * 2 if kind is progress.LiveProgress else [])
