"""The benchmark of the verdict: what it keeps, what it counts, and a run at a size at which its shares mean nothing."""

import importlib
import shutil

import numpy as np
import pytest

SMALL = ("--small", "--models", "digits", "--samples", "100")


@pytest.fixture
def truth(measuring):
    return lambda name: importlib.import_module(f"truth.{name}")


def test_exact_intervals(measuring):
    assert measuring.clopper_pearson(0, 300) == (0.0, pytest.approx(1 - 0.025 ** (1 / 300)))
    assert measuring.clopper_pearson(10, 10) == (pytest.approx(0.025**0.1), 1.0)
    assert measuring.clopper_pearson(5, 10) == pytest.approx((0.18709, 0.81291), abs=1e-5)


def test_decisions(truth):
    decide = truth("decide")
    answers = [np.array([[[0.1, 5, 1], [9, 0, 0]], [[0, 1, 2], [np.nan, 0, 0]]])]
    best = decide.decisions(answers, [decide.Decide("map"), decide.Decide("map", first=1), decide.Decide()])
    assert best[0].tolist()[0] == [1, 0]
    assert best[0][1, 0] == 2
    assert np.isnan(best[0][1, 1])
    assert best[1].tolist()[0] == [0, 0]
    assert best[2][0] == [3]
    background = [decide.Decide("map", rest=0)]
    one, other = (decide.decisions([np.eye(4)[rows][None]], background) for rows in ([0, 0, 1, 2], [0, 0, 1, 3]))  # fmt: skip
    assert decide.differing(one, other, background) == 0.5  # two places are not a background
    near = [decide.Decide("value", near=0.5), decide.Decide()]
    one, other = (decide.decisions([np.array([[1.0, 0.0], [0.0, second]])], near) for second in (2.0, 2.4))
    assert decide.differing(one, other, near) == 0
    assert decide.differing(one, decide.decisions([np.array([[1.0, 0.0], [0.0, np.nan]])], near), near) == 0.5  # fmt: skip


def test_an_interrupted_run_goes_on_and_other_code_begins_again(truth, tmp_path):
    store = truth("store")
    file, key = tmp_path / "found.jsonl", store.Key("digits", "tflite", "int8")
    rows = [store.Made(1.5, 0.1), store.Fault("filter zeroed", 0, 35, "w", 1, 12.5), store.Sound("own", "all", 3, None, 1, 40.0, 30.0)]  # fmt: skip
    first = store.Store(file, "code", {"seeds": 1})
    for row in rows:
        first.add(key, row)
    with file.open("ab") as left:
        left.write(b'["digits","tflite","int8",["F","half of a li')
    again = store.Store(file, "code", {"seeds": 1})
    assert again.rows == {key: rows}
    assert len(file.read_text().splitlines()) == 2  # one line an artifact
    assert again.of(key, store.Fault) == [rows[1]]
    assert store.Store(file, "other code", {"seeds": 1}).rows == {}


def test_the_page_counts_names_misses_and_false_refusals(truth, tmp_path):
    store, page = truth("store"), truth("page")
    kept = store.Store(tmp_path / "found.jsonl", "code", {"machine": "a machine", "samples": 10, "seeds": 1})
    key = store.Key("digits", "tflite", "int8")
    for row in (
        store.Fault("filter zeroed", 0, 350, "w", 1), store.Fault("filter zeroed", 1, 300, "", 1, 30.0, 20.0, "channel 7"),
        store.Fault("filter zeroed", 2, 10, "", 0), store.Fault("filter zeroed", 3, -1),
        store.Sound("own", "all", 3, None, 1, 40.0, 30.0), store.Sound("own", "half0", 3, None, 1, 9.0, 5.0, "SQNR 9 dB"),
        store.Sound("other0", "all", 900, None, 0, 9.0, 5.0), store.Kernel("BUILTIN_REF", 0, 39.0, 1.0, 1),
    ):  # fmt: skip
        kept.add(key, row)
    text = page.text(kept.path)
    assert "| filter zeroed | 3 | 2 | 50.0 (1.3-98.7) | 100.0 (15.8-100.0) |" in text
    assert "| digits tflite int8 | filter zeroed | channel 7 | 30.0 | 30.0 | no | yes |" in text
    assert "| **all** | 2 | 1 | 50.0 (1.3-98.7) |" in text
    assert "1 more are not known to be right" in text
    assert "| digits tflite int8 | own | half0 | 0.3 | SQNR 9 dB |" in text
    assert "| digits tflite int8 | builtin ref | 0.0 | 39.0 | 1.0 | refuses |" in text


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_faults_are_planted_and_refused_and_the_sound_are_not(run_script, truth, tmp_path, target):
    store, file = truth("store"), tmp_path / "found.jsonl"
    kinds = ("two classes swapped", "wrong zero point", "input shifted", "output flattened", "NHWC for NCHW", "columns of an output swapped")  # fmt: skip
    arguments = (
        *SMALL,
        "--targets",
        target,
        "--precisions",
        "int8",
        "--kinds",
        *kinds,
        "--results",
        str(file),
    )
    run_script("bench_truth.py", *arguments)
    found = store.load(file)[1][store.Key("digits", target, "int8")]
    faults = [row for row in found if isinstance(row, store.Fault)]
    assert [row.kind for row in faults] == list(kinds)
    assert all(row.changed >= 0 for row in faults)
    assert all(row.host and row.board for row in faults if row.changed > 100)
    assert sum(row.changed > 100 for row in faults) >= 3
    assert not [row for row in found if isinstance(row, store.Sound) and row.refused]
    assert not [row for row in found if isinstance(row, store.Kernel) and row.board]
    shutil.copyfile(file, tmp_path / "before")
    run_script("bench_truth.py", *arguments)  # again: all of it is there
    assert file.read_bytes() == (tmp_path / "before").read_bytes()
