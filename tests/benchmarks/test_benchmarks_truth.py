"""The benchmark of the verdict runs, at a size at which its shares mean nothing."""

import json

import pytest

pytestmark = pytest.mark.slow

SMALL = ("--small", "--models", "digits", "--samples", "100", "--draws", "1")


def test_faults_are_planted_and_refused_and_the_sound_are_not(run_script, tmp_path):
    found = tmp_path / "found.json"
    text, rows = run_script(
        "bench_truth.py", *SMALL, "--targets", "onnxruntime", "--precisions", "int8", "--kinds",
        "two classes swapped", "wrong zero point", "ReLU dropped", "input shifted", "--json", str(found),
    )  # fmt: skip
    assert "Models: digits." in text
    planted, real, today, new, *_ = rows["two classes swapped"]
    assert (planted, real, today.split()[0], new.split()[0]) == ("1", "1", "100", "100")
    assert rows["ReLU dropped"][0] == "0"  # int8 has none left
    assert rows["its own goldens"][0] == "2"  # the data's, and those of half of them
    trials = json.loads(found.read_text())
    assert [one["kind"] for one in trials["faults"]] == [
        "two classes swapped",
        "wrong zero point",
        "input shifted",
    ]
    assert all(one["disagrees"] > 0 for one in trials["faults"])
    assert not any(one["said"]["new"] or one["said"]["today"] for one in trials["sound"])
