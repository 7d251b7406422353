"""How outputs are scored on the host: references of other shapes, outputs that nobody kept, users' metrics that fail."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from edgewright.compile.data import evaluation_set
from edgewright.compile.data.answers import Answers, collected
from edgewright.compile.quality import accuracy, metrics
from edgewright.deployments.board_record import Trace
from edgewright.deployments.board_scoring import Scoring, prepared, real_valued
from edgewright.deployments.release import BoardRelease
from edgewright.errors import DataError
from edgewright.nouns.artifact import Accuracy, Artifact, Goldens, Manifest, Parity, Source, TensorSpec
from edgewright.nouns.model_input import ModelInput
from edgewright.nouns.precision import Tolerance
from edgewright.nouns.project import Budget

COUNT = 60
X = TensorSpec(name="x", shape=(1, 2), dtype="float32")
Y = TensorSpec(name="y", shape=(1, 4), dtype="float32")
LABELS = np.random.default_rng(0).normal(size=(COUNT, 4)).astype(np.float32)


def first(values: np.ndarray) -> Answers:
    return Answers("first", [values[:, None].astype(np.float32)])


@pytest.fixture
def given(tmp_path: Path) -> evaluation_set.EvaluationSet:
    np.savez(tmp_path / "e.npz", x=np.zeros((COUNT, 2), np.float32), labels=LABELS)
    return evaluation_set.prepare(tmp_path / "e.npz", [X])


def manifest(known: Accuracy | None = None, **changes: Any) -> Manifest:
    tolerance = Tolerance(sqnr_db=1, relative=1)
    found = Manifest(
        schema=1, source=Source(format="onnx", file="m.onnx", sha256=""), target="onnxruntime", precision="fp32", entry="m",
        files=(), inputs=(X,), outputs=(Y,), parity=Parity(max_abs=0, max_relative=0, cosine=1, sqnr_db=1, top1_agreement=1, count=8),
        goldens=Goldens(file="g", count=8, origin="random", framework="onnxruntime 1", tolerance=tolerance), accuracy=known,
    )  # fmt: skip
    return msgspec.structs.replace(found, **changes)


def scored(
    given: evaluation_set.EvaluationSet,
    metric: str,
    mine: Answers,
    incumbent: Answers | None,
    known: Accuracy | None = None,
    **budget: Any,
) -> Any:
    scorer = metrics.load(metric)
    labels = scorer.labels(given.load_labels(), [Y])
    return Scoring(scorer, given, labels, [Y]).checks(manifest(known), mine, incumbent, Budget(**budget))


def test_an_incumbent_that_answers_in_another_shape_is_not_compared(
    given: evaluation_set.EvaluationSet,
) -> None:
    """One figure would be broadcast over four labels, and look like an output."""
    mine, narrow = first(LABELS + 0.1), first(LABELS[:, :1])
    checks = scored(given, "mse", mine, narrow)
    assert [(check.name, check.ok) for check in checks] == [("accuracy", True), ("incumbent", True)]
    assert checks[1].note == "its accuracy is not compared: it answers [1] values a sample, the candidate [4]"
    broken = scored(given, "mse", mine, first(np.full((COUNT, 4), np.nan)))
    assert broken[1].note == "its accuracy is not compared: output 0 for sample 0 is not finite, one of 60"
    refused = scored(given, "mse", first(np.full((COUNT, 4), np.nan)), mine)
    assert [(check.name, check.ok) for check in refused] == [("accuracy", False)]


def test_the_sources_answers_are_paired_where_they_were_kept(
    given: evaluation_set.EvaluationSet, tmp_path: Path, home: Path
) -> None:
    scorer = metrics.load("mse")
    labels = scorer.labels(given.load_labels(), [Y])
    source, mine = first(LABELS + 0.1), first(LABELS + 0.11)
    known = accuracy.of(scorer, given, labels, source.packed(), mine.packed(), None)
    assert known.drop == pytest.approx(0.21, abs=1e-4)
    (paired,) = scored(given, "mse", mine, None, known)
    assert not paired.ok and paired.low is not None and paired.low < known.drop < (paired.high or 0)
    assert "95 % interval of the drop" in paired.note and "it is worse" in paired.note
    (place,) = (home / "answers").iterdir()
    place.write_bytes(place.read_bytes()[:-1])
    (alone,) = scored(given, "mse", mine, None, known)
    assert (alone.value, alone.low) == (pytest.approx(known.drop, abs=1e-6), None)
    other = msgspec.structs.replace(known, evaluation_sha256="0" * 64)
    assert [check.name for check in scored(given, "mse", mine, None, other)] == ["accuracy"]
    assert [check.name for check in scored(given, "mae", mine, None, known)] == ["accuracy"]


def test_a_limit_that_nothing_can_be_held_against_refuses(given: evaluation_set.EvaluationSet) -> None:
    mine = first(LABELS + 0.1)
    for budget, ok in (({}, True), ({"max_drop": 0.5}, False), ({"noninferior": True}, False)):
        (check,) = scored(given, "mse", mine, None, **budget)
        assert (check.name, check.ok) == ("accuracy", ok)
        assert "nothing to compare it with" in check.note
        assert ("convert it with this evaluation set" in check.note) != ok
        assert scored(given, "mse", mine, mine, max_drop=0.5)[0].ok


def test_answers_of_the_source_that_do_not_fit_refuse(given: evaluation_set.EvaluationSet) -> None:
    scorer = metrics.load("mse")
    mine, narrow = first(LABELS + 0.1), first(LABELS[:, :1])
    known = accuracy.of(scorer, given, LABELS, mine.packed(), mine.packed(), None)
    other = msgspec.structs.replace(known, answers=accuracy.keep(narrow.packed()))
    checks = scored(given, "mse", mine, mine, other)
    assert [(check.name, check.ok) for check in checks] == [
        ("accuracy against the incumbent", True), ("accuracy against its source", False),
    ]  # fmt: skip
    note = "it cannot be compared: it answers [1] values a sample, the candidate [4]"
    assert checks[1].note == note
    (alone,) = scored(given, "mse", mine, None, other)
    assert (alone.ok, alone.note) == (False, note)


def test_a_foreign_manifest_names_no_file(
    given: evaluation_set.EvaluationSet, tmp_path: Path, home: Path
) -> None:
    digest = accuracy.keep(first(LABELS).packed())
    assert accuracy.kept(digest) is not None
    outside = tmp_path / f"{digest}.npz"
    (home / "answers" / f"{digest}.npz").rename(outside)
    for name in (f"../../{digest}", str(outside.with_suffix("")), digest.upper(), f"{digest}\n", "\0"):
        assert accuracy.kept(name) is None


def test_an_own_metric_that_was_rewritten_is_another(
    given: evaluation_set.EvaluationSet, tmp_path: Path, home: Path
) -> None:
    text = "def near(outputs, labels):\n    return float((abs(outputs[:, 0] - labels) < {}).mean())\n"
    (tmp_path / "own.py").write_text(text.format(0.2))
    scorer, mine = metrics.load(f"{tmp_path}/own.py:near"), Answers("all", [(LABELS + 0.1)[:, None]])
    known = accuracy.of(scorer, given, LABELS, mine.packed(), mine.packed(), None)
    (same,) = scored(given, f"{tmp_path}/own.py:near", mine, None, known)
    assert same.name == "accuracy against its source"
    (tmp_path / "own.py").write_text(text.format(0.3))
    (other,) = scored(given, f"{tmp_path}/own.py:near", mine, None, known)
    assert (other.name, "nothing to compare it with" in other.note) == ("accuracy", True)


class Recording(BoardRelease):
    """A release on a board that returns nothing; it records the input file for each release."""

    def __init__(self, scoring: Scoring, current: str) -> None:
        self.scoring, self.release, self.asked = scoring, "2-b", []
        self.trace = Trace()
        self.trace.current = current
        self.artifact = SimpleNamespace(manifest=manifest())  # type: ignore[assignment]
        self.budget = Budget()

    def step(self, what: str, detail: str = "") -> None:
        pass

    def put(self, source: Any, label: str) -> str:
        return str(source)

    def answers(self, scoring: Scoring, release: str, digest: str) -> Answers:
        with np.load(digest) as found:
            self.asked.append((release, found["input_0"]))
        return first(LABELS)


def test_an_incumbent_gets_real_values_and_never_the_candidates_integers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board makes them the incumbent's own integers, by its scale: both may be int8 and of one shape."""
    whole = TensorSpec(name="x", shape=(1, 2), dtype="int8", scale=0.25, zero_point=-3)
    values = np.random.default_rng(1).integers(-60, 60, (COUNT, 2)) / 4
    np.savez(tmp_path / "e.npz", x=values.astype(np.float32), labels=LABELS)
    artifact = Artifact(folder=tmp_path, manifest=manifest(inputs=(whole,), outputs=(Y,)))
    as_is = Artifact(folder=tmp_path, manifest=manifest(inputs=(whole,), outputs=(Y,), precision="as-is"))
    for one in (artifact, as_is):
        model = ModelInput(source=tmp_path, name="m", evaluation=tmp_path / "e.npz", metric="mse")
        scoring = prepared(model, one, None)
        assert scoring is not None
        board = Recording(scoring, "1-a")
        board.evaluate()
        (mine, integers), (theirs, reals) = board.asked
        assert (mine, integers.dtype, theirs, reals.dtype) == ("2-b", np.int8, "1-a", np.float32)
        assert np.array_equal(integers[:, 0], values * 4 - 3)
        assert np.array_equal(reals[:, 0], values)


def test_an_own_metric_that_does_not_bear_every_draw(
    given: evaluation_set.EvaluationSet, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(
        "import numpy as np\n"
        "def odd(outputs, labels):\n"
        "    if len(np.unique(labels[:, 0])) < len(labels):\n"
        "        raise ValueError('twice')\n"
        "    return float(np.abs(outputs[:, 0] - labels).mean())\n"
        "odd.higher_is_better = False\n"
        "def never(outputs, labels):\n"
        "    return float('inf')\n"
    )
    mine = Answers("all", [(LABELS + 0.1)[:, None]])
    checks = scored(given, f"{tmp_path}/own.py:odd", mine, mine)
    assert (checks[0].value, checks[0].low, checks[0].ok) == (0, None, True)
    (refused,) = scored(given, f"{tmp_path}/own.py:never", mine, mine)
    assert not refused.ok and refused.note == "metric own.py:never returned inf"


def test_inputs_are_real_again_unless_the_source_has_integers() -> None:
    whole = TensorSpec(name="x", shape=(1, 2), dtype="int8", scale=0.5, zero_point=3)
    tokens = TensorSpec(name="t", shape=(1, 2), dtype="int32")
    assert real_valued(manifest(inputs=(whole, tokens))) == (X, tokens)
    assert real_valued(manifest(inputs=(whole,), precision="as-is")) == (whole,)


def test_answers_that_outgrow_the_memory_end_early(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgewright.compile.data import answers

    monkeypatch.setattr(answers, "MAX_BYTES", 1 << 20)
    seen = []

    def run(sample: list[Any]) -> list[Any]:
        seen.append(sample)
        return [np.zeros((1, 1 << 16), np.float32)]

    with pytest.raises(DataError, match="answers to 5 samples are more than 1 MiB"):
        collected(run, ([np.zeros(1)] for _ in range(1000)), "first")
    assert len(seen) == 5
    assert len(collected(run, ([np.zeros(1)] for _ in range(100)), "top5")) == 100
    with pytest.raises(DataError, match="are more than"):
        answers.check_size(1000, "all", [Y, TensorSpec(name="z", shape=(1, 1 << 10), dtype="float32")])
    answers.check_size(1000, "top5", [TensorSpec(name="z", shape=(1, 1 << 20), dtype="float32")])


def test_ids_of_artifacts_from_before_stay() -> None:
    known = Accuracy(metric="top1", evaluation_sha256="", n=1, source=1, artifact=1)
    assert b'"output":' not in manifest(known).canonical()
    assert b'"output":1' in manifest(msgspec.structs.replace(known, output=1)).canonical()
