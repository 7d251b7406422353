"""What a terminal of 80, 100 and 120 columns shows: tables, sentences, and a line for each board at work."""

from __future__ import annotations

import re

import pytest
from terminal_screen import on_terminal, screen

from edgewright.cli.column_widths import widths
from edgewright.cli.live_rows import Row, line, picture
from edgewright.nouns.progress import BYTES, DONE, FAILURE, WAITING, ProgressEvent

HEADS = ["board", ">p50 ms", "why"]
LONG = "validity: contention: other processes used 97% of the CPU while it was measured on this board"


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_columns_fit_the_width_and_have_room_for_every_word(width: int) -> None:
    rows = [["kitchen-1", "21.5", LONG], ["hall", "-", "-"]]
    found = widths(HEADS, rows, width)
    assert found is not None and sum(found) + 2 * 2 <= width
    assert found[0] >= 9 and found[1] >= 4 and found[2] >= len("contention:")


def test_a_word_that_does_not_fit_is_no_table() -> None:
    assert widths(HEADS, [["kitchen-1", "21.5", "/" + "x" * 80]], 80) is None


TABLES = """
from edgewright.cli import render
why = "validity: contention: other processes used 97% of the CPU; p95: 21 ms, the limit is 10"
heads = [">id", "at (UTC)", "what", "board", "model", "release", ">p50 ms", "why"]
row = ["17", "2026-11-29 08:11:46", "deploy: refused", "demo-3 (simulated)", "mobilenet-v2", "1-47e411b0", "0.0423", why]
render.table("", heads, [row], spare=(">p50 ms", "at (UTC)"))
render.table("", ["board", "folder"], [["a", "/srv/" + "x" * 130]])
render.line(f"caveat: {why}, and `edgewright deploy --resume 0123456789ab --fleet fleet.toml --parallel 3` goes on with it")
"""
WORDS = ("contention:", "2026-11-29", "(simulated)", "mobilenet-v2", "1-47e411b0", "/srv/" + "x" * 130)


@pytest.mark.parametrize("columns", [80, 100, 120])
def test_no_word_is_broken(columns: int) -> None:
    code, said = on_terminal(TABLES, columns)
    assert code == 0, said
    text = re.sub(r"\x1b\[[0-9;]*m", "", said)
    for word in WORDS if columns > 80 else WORDS[2:]:
        assert word in text, (word, text)
    assert "`edgewright deploy --resume 0123456789ab --fleet fleet.toml --parallel 3`" in text
    shown = [one for one in screen(said, columns) if "/srv" not in one and "xxx" not in one]
    assert all(len(one) <= columns for one in shown)
    assert not any(one.endswith(("conte", "simul", "mobile")) for one in shown)


LIVE = """
import time
from edgewright.cli import render
from edgewright.cli.progress import shown
from edgewright.nouns.progress import ProgressEvent
with shown() as progress:
    for name in ("kitchen", "hall", "cellar"):
        progress(ProgressEvent(stage="bench", board=name, done=1, total=4, unit="rounds"))
    time.sleep(0.3)
    render.table("", ["board", "answer"], [("kitchen", "first"), ("hall", "second")])
    render.line("a line below it")
    time.sleep(0.3)
    progress(ProgressEvent(stage="note", detail="a note in between"))
    time.sleep(0.3)
render.note("the end")
"""


def test_bars_never_overwrite_what_is_printed_and_are_gone_in_the_end() -> None:
    code, said = on_terminal(LIVE, 80)
    assert code == 0 and "rounds" in said, said
    before = screen(said[: said.index("answer")], 80)
    assert [one[2:9] for one in before if "rounds" in one] == []  # they are gone before the table
    frame = screen(said[: said.index("\x1b[?25h")], 80)
    assert [one[2:9].strip() for one in frame if "1/4 rounds" in one] == ["kitchen", "hall", "cellar"]
    assert "3 working" in frame
    left = [one for one in screen(said, 80) if one and set(one) != {"─"}]
    assert left == [
        "board    answer", "kitchen  first", "hall     second", "a line below it", "a note in between", "the end",
    ]  # fmt: skip


def bench(done: int) -> ProgressEvent:
    return ProgressEvent(stage="bench", board="kitchen", detail="quick", done=done, total=4, unit="rounds")


def test_boards_in_each_state_look_different() -> None:
    rows = [Row(name, 0.0) for name in ("waits", "works", "did", "failed")]
    rows[0].take(ProgressEvent(stage=WAITING, board="waits"), 0.0)
    for row in rows[1:]:
        row.take(bench(1), 1.0)
    rows[2].take(ProgressEvent(stage=DONE), 5.0)
    rows[3].take(ProgressEvent(stage=FAILURE, detail="no route to it"), 6.0)
    lines = picture(rows, 9.0, 100, 40)
    assert [one.text[0] for one in lines[:4]] == [".", "|", "+", "x"]
    assert len({one.style for one in lines[:4]}) == 4
    assert "failed: no route to it" in lines[3].text and lines[3].text.rstrip().endswith("0:06")
    assert lines[4].text == "1 working, 1 failed, 1 waiting, 1 done"


def test_an_outcome_is_kept_and_another_turn_begins_anew() -> None:
    row = Row("kitchen", 0.0)
    row.take(ProgressEvent(stage="refused", detail="too slow"), 3.0)
    row.take(ProgressEvent(stage=DONE), 3.0)
    assert (row.state, row.text) == ("failed", "refused too slow")
    row.take(bench(0), 8.0)
    assert row.state == "working"


def test_clocks_run_on_and_what_remains_is_estimated() -> None:
    row = Row("kitchen", 0.0)
    row.take(ProgressEvent(stage="upload", done=4 << 20, total=4 << 20, unit=BYTES, rate=1e6), 2.0)
    assert "4.0/4.0 MiB 1.0 MB/s" in line(row, 2.0, 120).text
    assert "0:09" in line(row, 9.0, 120).text  # its bar is full, and it goes on
    for done, now in ((0, 10.0), (1, 13.0)):
        row.take(bench(done), now)
    text = line(row, 14.0, 120).text
    assert "1/4 rounds" in text and "0:08 left" in text and "0:14" in text
    row.take(ProgressEvent(stage="upload", done=1 << 20, total=4 << 20, unit=BYTES, rate=1 << 20), 20.0)
    assert "0:03 left" in line(row, 20.0, 120).text


def test_more_boards_than_lines_show_those_at_work() -> None:
    rows = [Row(f"b-{number}", 0.0) for number in range(30)]
    for number, row in enumerate(rows):
        row.take(bench(1), 0.0)
        if number != 25:
            row.take(ProgressEvent(stage=DONE), 1.0)
    lines = picture(rows, 2.0, 80, 10)
    assert len(lines) == 10 and any("b-25" in one.text for one in lines)
    assert lines[-1].text == "1 working, 29 done"
