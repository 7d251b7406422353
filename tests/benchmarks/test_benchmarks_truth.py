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
    rows = [store.Made(1.5, 0.1), store.Fault("filter zeroed", 0, 35, 5, "w", 1, 12.5), store.Sound("own", "all", 3, None, 40.0, 30.0)]  # fmt: skip
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
    assert store.load(tmp_path / "found.jsonl.old")[1] == {key: rows}  # put aside, not lost


def test_rows_of_other_samples_are_not_taken_and_a_head_says_the_most_that_was_drawn(truth, tmp_path):
    store = truth("store")
    key, file, part = store.Key("digits", "tflite", "int8"), tmp_path / "found.jsonl", tmp_path / "part.jsonl"
    store.Store(part, "code", {"samples": 200, "seeds": 3}).add(key, store.Made(1.0))
    mine = store.Store(file, "code", {"samples": 100, "seeds": 1})
    mine.take(part)
    assert mine.rows == {}
    assert (tmp_path / "part.jsonl.old").exists()
    store.Store(part, "code", {"samples": 100, "seeds": 3}).add(key, store.Made(1.0))
    mine.take(part)
    assert mine.rows == {key: [store.Made(1.0)]}
    assert not part.exists()
    assert store.load(file)[0]["seeds"] == 3
    assert store.Store(file, "code", {"samples": 100, "seeds": 1}).head["seeds"] == 3


def test_the_fingerprint_is_of_planters_and_targets_and_not_of_the_page(truth, tmp_path, monkeypatch):
    import edgewright
    import edgewright_targets
    from edgewright.compile.inspection import code_fingerprint  # noqa: F401 - before the packages are elsewhere

    store = truth("store")
    own, other, host = (shutil.copytree(folder, tmp_path / name) for name, folder in
                  (("truth", store.__file__.rpartition("/")[0]), ("targets", edgewright_targets.__path__[0]),
                   ("host", edgewright.__path__[0])))  # fmt: skip
    monkeypatch.setattr(store, "__file__", str(own / "store.py"))
    monkeypatch.setattr(edgewright_targets, "__path__", [str(other)])
    monkeypatch.setattr(edgewright, "__path__", [str(host)])
    before = store.fingerprint()
    for file, changes in ((own / "page.py", False), (own / "onnx_graph.py", True), (other / "tflite" / "quantization_steps.py", True),
                          (host / "precisions" / "int8.py", True), (host / "metrics" / "f1.py", True), (host / "records.py", True),
                          (host / "cli" / "render.py", False)):  # fmt: skip
        file.write_text(file.read_text() + "\n")
        assert (store.fingerprint() != before) is changes, file
        before = store.fingerprint()


def test_the_page_counts_names_misses_and_false_refusals(truth, tmp_path):
    store, page = truth("store"), truth("page")
    kept = store.Store(
        tmp_path / "found.jsonl",
        "code",
        {"machine": "a machine", "samples": 10, "seeds": 1, "models": ["digits", "three", "boxes", "voice"]},
    )
    kept.add(store.Key("voice", "", ""), store.Made(0.0, 0.0, "absent: not here"))
    key, drawn = store.Key("digits", "tflite", "int8"), store.Key("three", "tflite", "int8")
    kept.add(store.Key("digits", "", ""), store.Origin(1, "real"))
    kept.add(store.Key("three", "", ""), store.Origin(0, "drawn"))
    for row in (
        store.Fault("filter zeroed", 0, 350, 10, "w", 1), store.Fault("filter zeroed", 1, 300, 0, "", 1, 30.0, 20.0, "channel 7"),
        store.Fault("filter zeroed", 2, 10, 0, "", 0), store.Fault("filter zeroed", 3, -1, None),
        store.Fault("class zeroed", 0, 15, 12, "", 0, 50.0, 40.0, "class 3"), store.Fault("class zeroed", 1, 0, 0, "s", 0),
        store.Sound("own", "all", 3, None, 40.0, 30.0), store.Sound("other0", "all", 3, None, 39.0, 30.0),
        store.Sound("own", "half0", 3, 0, 9.0, 5.0, "SQNR 9 dB", 1), store.Sound("own", "half1", 900, 300, 9.0, 5.0),
        store.Sound("own", "half2", 60, 20, 20.0, 9.0), store.Kernel("BUILTIN_REF", 0, 39.0, 1.0, 1), store.Done(1, 1),
    ):  # fmt: skip
        kept.add(key, row)
    kept.add(drawn, store.Fault("filter zeroed", 0, 21, None, "f", 0))
    text = page.text(kept.path)
    assert "| digits | trained, real |" in text
    assert "| three | drawn, drawn |" in text
    assert "judged by other goldens: digits." in text
    assert "Not tried, or not to the end: three (0 of 1 ways), boxes (0 of 1 ways).\n" in text
    assert "| filter zeroed | 4 | 3 | 66.7 (9.4-99.2) | 66.7 (9.4-99.2) | 100.0 (29.2-100.0) | 1 | 0 | 0 | 0 | 0 | 0 |" in text  # fmt: skip
    assert (
        "| class zeroed | 2 | 1 | 0.0 (0.0-97.5) | 0.0 (0.0-97.5) | 0.0 (0.0-97.5) | 0 | 0 | 0 | 1 | 1 | 0 |"
        in text
    )
    assert "| **trained weights, real data** | 5 | 3 | 33.3" in text
    assert "| digits tflite int8 | class zeroed | class 3 | 1.5 | 1.2 | 50.0 | no | no |" in text
    assert "| digits tflite int8 | filter zeroed | channel 7 | 30.0 | 0.0 | 30.0 | no | yes |" in text
    assert "| **conversions** | 3 | 1 | 33.3 (0.8-90.6) | 3 | 1 |" in text
    assert "| **all verdicts** | 4 | 1 | 25.0 (0.6-80.6) | 3 | 1 | 33.3 (0.8-90.6) |" in text
    assert "| digits tflite int8 | own | half0 | 0.3 | 0.0 | 9.0 | SQNR 9 dB | yes |" in text
    assert "Not right, and accepted:\n\n" in text
    assert "| digits tflite int8 | own | half1 | 90.0 | 30.0 | 9.0 | - | no |" in text
    assert "| 0 of at least 300 right conversions refused | 1 of 3: 33.33 (0.84-90.57) | **no** |" in text
    assert "| digits tflite int8 | builtin ref | 0.0 | 39.0 | 1.0 | refuses |" in text


def test_a_refused_conversion_is_kept_and_its_refusal_recorded(truth, monkeypatch):
    from edgewright.compile.quality import artifact_check as checking
    from edgewright.compile.quality.verdict.refusal import Unlike
    from edgewright.nouns.artifact import Parity

    unjudged, parity = (
        truth("unjudged"),
        Parity(max_abs=1.0, max_relative=1.0, cosine=0.5, sqnr_db=3.0, top1_agreement=0.5, count=16),
    )
    error = Unlike("lost: class 7", hint="", parity=parity, verdict=())

    def refuse(workers, subject, judged):
        if judged:
            raise error
        return checking.Checked(parity, (), (), error)

    monkeypatch.setattr(checking, "check", refuse)
    with unjudged.verdict() as found:
        assert checking.check(None, None, ["a slice"]) == checking.Checked(parity, (), (), None)
        assert (found.refused, found.outweighed) == (error, False)
        assert checking.check(None, None, []).low is None
        assert (found.refused, found.outweighed) == (error, True)
    assert checking.check is refuse


def untimed(rows):
    """The rows without those that say how long something took."""
    return [row for row in rows if type(row).__name__ != "Made"]


@pytest.mark.slow
@pytest.mark.sampled(2)
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
    run_script("bench_truth.py", *arguments)
    again = store.load(file)[1][store.Key("digits", target, "int8")]
    assert untimed(again) == untimed(found), "the same again, but for how long it took"
