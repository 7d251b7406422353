"""What the benchmark of compression makes of its results: intervals, verdicts, the page, and what an interrupted run tries again."""

import importlib

import msgspec
import numpy as np
import pytest

SAMPLES = 100


@pytest.fixture
def bench(measuring):  # puts their folder on the import path
    """A module of the benchmark, by name."""
    return lambda name: importlib.import_module(f"compression_bench.{name}")


@pytest.fixture
def record(bench):
    """Makes the record of a row that answers the first `fp32` and `int8` samples right."""
    results, rows = bench("results"), bench("rows")

    def made(row, seed, fp32, int8, *, ratio=0.0, macs=1000, refused=""):
        artifacts = [
            results.Artifact(results.packed(np.arange(SAMPLES) < right), 2000, 1000, refused, ratio) for right in (fp32, int8)
        ]  # fmt: skip
        return results.Record(
            "keras", "residual", seed, row, rows.BY_NAME[row].key, SAMPLES, 500, macs, *artifacts, 3.0
        )

    return made


def test_intervals_are_those_of_the_textbook(bench):
    intervals = bench("intervals")
    assert intervals.over_seeds([1, 2, 3, 4, 5]) == pytest.approx((3, 3 - 1.963, 3 + 1.963), abs=1e-3)
    assert intervals.over_seeds([2.5]) == (2.5, None, None)
    # two seeds: each of four samples is averaged first, to 0, 0, 1, 1; their standard deviation is 0.577
    seeds = [np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])]
    assert intervals.over_samples(seeds) == pytest.approx((0.5, 0.5 - 0.566, 0.5 + 0.566), abs=1e-3)


def test_page_decides_aims_once_five_seeds_are_there(bench, record, tmp_path):
    results, page = bench("results"), bench("page")
    file = tmp_path / "results.jsonl"
    notes = results.Notes(file, results.Session("a machine", "keras 3", "c0de"))
    for seed in range(5):
        notes.add(record("original", seed, 95, 95))
        notes.add(record("control", seed, 96, 96 - seed % 2))
        notes.add(record("channels", seed, 94, 93, ratio=2.0, macs=250))
        notes.add(record("qat", seed, 96, 96))
        if seed < 3:
            notes.add(record("weights+qat", seed, 95, 95, refused="too far from the source"))
    lines = [line.strip("| \n").split(" | ") for line in page.text(file).splitlines() if line.startswith("|")]
    aims = {(row[0], row[1]): row for row in lines if row[0].startswith(("half", "trained", "a student", "without"))}  # fmt: skip
    net = "keras residual"
    loses = aims["half of the channels: fp32 against the control", net]
    assert loses[2:4] == ["-0.50", "-2.00"] and loses[6:8] == ["5", "**missed**"]
    assert aims["half of the channels: MACs", net][3:8] == ["4.00x", "4.00x to 4.00x", "-", "5", "kept"]
    assert aims["half of the channels: p50 on this host", net][7] == "kept"
    assert aims["trained for int8: int8 against the control's fp32", net][3] == "+0.00"
    early = aims["half of the weights zero, trained for int8: int8 against the control's int8", net]
    assert early[6:8] == ["3", "not yet decided: 3 of 5 seeds"]
    assert aims["half of the channels: MACs", "torch depthwise"][3:8] == ["-", "-", "-", "0", "not yet decided: 0 of 5 seeds"]  # fmt: skip
    rows = [row for row in lines if row[0] == "`channels`" and len(row) > 10]
    assert rows[0][1:6] == ["5", "94.00", "-2.00 (-2.00 to -2.00)", "93.00", "-2.60 (-3.28 to -1.92)"]
    assert rows[1][1:3] == ["0", "-"]  # the depthwise net, which was not tried
    assert "keras residual, `weights+qat`, seed 0: fp32, too far from the source." in page.text(file)


def test_verdict_says_where_the_seeds_leave_it_open(bench):
    aims, mean = bench("aims"), bench("intervals").Mean
    assert aims.verdict(mean(1.0, 0.5, 1.5), 0.4) == "kept"
    assert aims.verdict(mean(1.0, 0.5, 1.5), 0.9) == "kept, within chance"
    assert aims.verdict(mean(1.0, 0.5, 1.5), 1.2) == "**missed**, within chance"
    assert aims.verdict(mean(1.0, 0.5, 1.5), 1.6) == "**missed**"


def test_interrupted_run_continues_where_it_was(bench, record, tmp_path):
    results, rows = bench("results"), bench("rows")
    file, session = tmp_path / "results.jsonl", results.Session("a machine", "keras 3", "c0de")
    results.Notes(file, session).add(record("control", 0, 90, 90))
    changed = msgspec.structs.replace(record("channels", 0, 90, 90), key="another")
    results.Notes(file, session).add(changed)
    with file.open("ab") as cut:
        cut.write(b'{"type":"record","framework":"ke')
    notes = results.Notes(file, results.Session("another machine", "keras 3", "c0de"))
    has = {name: notes.has("keras", "residual", 0, rows.BY_NAME[name]) for name in ("control", "channels")}
    assert has == {"control": True, "channels": False}  # of the second the steps have changed since
    notes.add(record("channels", 0, 80, 70))
    found = results.load(file)
    assert [one.machine for one in found.sessions] == ["a machine", "another machine"]
    right = {one.row: int(one.bits("int8").sum()) for one in found.records}
    assert right == {"control": 90, "channels": 70}


def test_folds_test_every_sample_once_and_train_with_none_of_theirs(bench, tmp_path):
    data = bench("data")

    def load(_):
        return np.arange(50, dtype=np.float32).reshape(50, 1, 1, 1), np.arange(50)

    tested = []
    for fold in range(data.FOLDS):
        sets = data.split(load, tmp_path, (5, 0), fold, channels_first=False)
        parts = [set(np.load(file)["labels"]) for file in (sets.train, sets.decide, sets.test)]
        assert [len(part) for part in parts] == [35, 5, 10] and len(set().union(*parts)) == 50
        tested += parts[2]
    assert sorted(tested) == list(range(50))
