"""Slices that look lost on the goldens: other samples decide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgewright.compile.data.calibration import SampleSet
from edgewright.compile.quality.verdict import fresh_samples, judge
from edgewright.compile.quality.verdict.limits import Rule
from edgewright.nouns.artifact import TensorSpec
from edgewright.precisions import PRECISIONS

Array = np.ndarray[Any, Any]
INT8 = Rule(PRECISIONS["int8"].tolerance, None, 0.95, 1e-6, data=True, in_steps=False)


def suspected(reference: Array, output: Array) -> judge.Judged:
    spec = TensorSpec(name="y", shape=reference.shape[1:], dtype="float32")
    counts = np.ones(reference.shape, bool)
    return judge.judge([reference], [output], [spec], [np.zeros(spec.shape)], [counts], INT8)[0]


def rows(reference: Array, output: Array) -> Iterator[tuple[Mapping[int, Array], Mapping[int, Array]]]:
    for one, other in zip(reference, output, strict=True):
        yield {2: one}, {2: other}


def test_what_is_right_on_other_samples_is_not_lost() -> None:
    """A class that the goldens hardly show, and others do; and one that is zero on all."""
    draw = np.random.default_rng(1)
    goldens, others = draw.normal(size=(16, 4)), draw.normal(size=(64, 4))
    goldens[:, 1] *= 1e-3
    noise = np.array([0.1, 0.1, 0.1, 0.1])
    answered = goldens + noise * draw.normal(size=goldens.shape)
    answered[:, 3] = 0
    found = suspected(goldens, answered)
    assert [one.at for one in found.suspects] == [1, 3]
    again = others + noise * draw.normal(size=others.shape)
    again[:, 3] = 0
    sure = fresh_samples.evidence({2: found}, INT8, rows(others, again))
    assert [(one.axis, one.at) for one in sure[2].suspects] == [(0, 3)]
    assert -1 < sure[2].suspects[0].signal_db <= 0


def test_an_answer_that_is_not_finite_clears_nothing() -> None:
    draw = np.random.default_rng(3)
    goldens, others = draw.normal(size=(16, 4)), draw.normal(size=(64, 4))
    answered = goldens.copy()
    answered[:, 3] = 0
    again = others.copy()
    again[:, 3] = np.nan
    sure = fresh_samples.evidence({2: suspected(goldens, answered)}, INT8, rows(others, again))
    assert [(one.axis, one.at) for one in sure[2].suspects] == [(0, 3)]


def test_what_other_samples_do_not_show_is_not_lost() -> None:
    draw = np.random.default_rng(2)
    goldens = draw.normal(size=(16, 4))
    answered = goldens.copy()
    answered[:, 3] = 0
    found = suspected(goldens, answered)
    others = draw.normal(size=(64, 4))
    others[:, 3] = 0.5
    assert fresh_samples.evidence({2: found}, INT8, rows(others, others + 1))[2].suspects == ()


def test_a_whole_output_is_asked_again_too() -> None:
    draw = np.random.default_rng(3)
    goldens = 1013 + draw.normal(size=(16, 1))
    found = suspected(goldens, np.full_like(goldens, 1013))
    assert [one.axis for one in found.suspects] == [None]
    others = 1013 + draw.normal(size=(64, 1))
    assert fresh_samples.evidence({2: found}, INT8, rows(others, others))[2].suspects == ()
    assert len(fresh_samples.evidence({2: found}, INT8, rows(others, others * 0 + 1013))[2].suspects) == 1


def test_goldens_are_no_fresh_samples_and_memory_has_an_end(tmp_path: Path) -> None:
    data = np.arange(600, dtype=np.float32).reshape(300, 2)
    np.savez(tmp_path / "data.npz", x=data)
    inputs = (TensorSpec(name="x", shape=(2,), dtype="float32"),)
    samples = SampleSet(path=tmp_path / "data.npz", specs=inputs)
    streamed = [sample[0] for sample in samples.stream()]
    small = [TensorSpec(name="y", shape=(4,), dtype="float32")]
    places = fresh_samples.chosen(samples, [np.stack(streamed[:100])], small)
    assert len(places) == fresh_samples.MOST
    assert min(places) == 100
    assert [sample[0].tolist() for sample in fresh_samples.taken(samples, places)] == [
        streamed[at].tolist() for at in places
    ]
    large = [TensorSpec(name="y", shape=(1024, 1024, 8), dtype="float32")]
    assert len(fresh_samples.chosen(samples, [np.stack(streamed[:100])], large)) == 8
    assert fresh_samples.chosen(samples, [np.stack(streamed)], small) == []
