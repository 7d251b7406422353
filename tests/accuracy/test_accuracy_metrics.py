"""Every metric against scikit-learn's, with ties, classes that do not occur, and several labels per sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as reference

from edgewright.compile.data.answers import Answers, ranks
from edgewright.compile.quality import metrics
from edgewright.errors import DataError, UsageError
from edgewright.metrics import METRICS
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.metric import Metric

RANDOM = np.random.default_rng(11)
SEEDS = range(12)


def spec(*shape: int) -> TensorSpec:
    return TensorSpec(name="y", shape=(1, *shape), dtype="float32")


def value(name: str, outputs: np.ndarray, labels: object, *shape: int) -> float:
    """A metric from raw outputs (n, ...) and labels, as the compiler and the gate compute it."""
    scorer = metrics.load(name)
    keep = scorer.metric.keep
    kept = np.stack([ranks(row) for row in outputs]) if keep == "top5" else outputs[:, None]
    fitted = scorer.labels(np.asarray(labels), [spec(*(shape or outputs.shape[1:]))])
    return scorer.value(Answers(keep, [kept]), fitted)


@pytest.mark.parametrize("name", ["top1", "top5", "f1", "auc", "mse", "mae"])
def test_a_batch_of_several_samples_has_no_label_of_its_own(name: str) -> None:
    scorer = metrics.load(name)
    for shape in ((4, 1), (4, 8), (4,)):
        output = TensorSpec(name="y", shape=shape, dtype="float32")
        for labels in (np.arange(6) % 2, np.ones((6, 8)) * (np.arange(6) % 2)[:, None]):
            with pytest.raises(DataError, match=f"{name} wants one sample an inference, output y has 4"):
                scorer.labels(labels, [output])


def scores(seed: int, classes: int, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Softmax outputs with many ties, and labels that correlate with them."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    raw = np.round(random.normal(size=(count, classes)) + 1.2 * np.eye(classes)[labels], 1)
    probabilities = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32), labels


@pytest.mark.parametrize("seed", SEEDS)
def test_top1_and_top5(seed: int) -> None:
    outputs, labels = scores(seed, 12)
    outputs = (outputs + RANDOM.random(outputs.shape) * 1e-4).astype(
        np.float32
    )  # scikit-learn orders ties differently
    assert value("top1", outputs, labels) == reference.accuracy_score(labels, outputs.argmax(axis=1))
    expected = reference.top_k_accuracy_score(labels, outputs, k=5, labels=np.arange(12))
    assert value("top5", outputs, labels) == pytest.approx(expected)
    assert value("top1", outputs, np.eye(12)[labels]) == value("top1", outputs, labels)


@pytest.mark.parametrize("seed", SEEDS)
def test_f1_of_classes_is_the_mean_over_those_that_occur(seed: int) -> None:
    outputs, labels = scores(seed, 7)
    labels[labels == 3] = 2  # a class that no label names; the model may still predict it
    expected = reference.f1_score(labels, outputs.argmax(axis=1), average="macro", zero_division=0)
    assert value("f1", outputs, labels) == pytest.approx(expected)


@pytest.mark.parametrize("seed", SEEDS)
def test_f1_and_auc_of_one_score(seed: int) -> None:
    outputs, labels = scores(seed, 2)
    one = outputs[:, 1:]
    assert value("f1", one, labels) == pytest.approx(reference.f1_score(labels, one[:, 0] >= 0.5))
    assert value("auc", one, labels) == pytest.approx(reference.roc_auc_score(labels, one[:, 0]))
    assert value("auc", outputs, labels) == pytest.approx(
        reference.roc_auc_score(labels, one[:, 0]), abs=2e-3
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_f1_and_auc_of_several_labels_a_sample(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels = (random.random((150, 4)) < 0.4).astype(int)
    outputs = np.clip(np.round(labels * 0.3 + random.random((150, 4)) * 0.7, 2), 0, 1).astype(np.float32)
    expected = reference.f1_score(labels, outputs >= 0.5, average="macro", zero_division=0)
    assert value("f1", outputs, labels) == pytest.approx(expected)
    assert value("auc", outputs, labels) == pytest.approx(
        reference.roc_auc_score(labels, outputs, average="macro")
    )


def test_f1_of_several_labels_leaves_out_what_does_not_occur() -> None:
    """As with classes: a label that is neither given nor predicted says nothing about the model."""
    random = np.random.default_rng(3)
    labels = (random.random((80, 5)) < 0.4).astype(int)
    outputs = random.random((80, 5)).astype(np.float32)
    labels[:, 1], outputs[:, 1] = 0, 0.1
    labels[:, 2] = 0  # predicted, never correctly
    outputs[:, 3] = 0.1  # never predicted
    expected = reference.f1_score(labels, outputs >= 0.5, average="macro", zero_division=np.nan)
    assert value("f1", outputs, labels) == pytest.approx(expected)
    assert value("f1", np.full((80, 5), 0.1, np.float32), np.zeros((80, 5), int)) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_auc_of_classes_is_each_against_the_rest(seed: int) -> None:
    outputs, labels = scores(seed, 5)
    double = outputs.astype(np.float64)
    expected = reference.roc_auc_score(
        labels, double / double.sum(axis=1, keepdims=True), multi_class="ovr", average="macro"
    )
    assert value("auc", outputs, labels) == pytest.approx(expected, abs=1e-4)


def test_errors_of_figures() -> None:
    outputs = RANDOM.normal(size=(40, 3, 2)).astype(np.float32)
    labels = RANDOM.normal(size=(40, 6))
    flat = outputs.reshape(40, 6)
    assert value("mse", outputs, labels) == pytest.approx(reference.mean_squared_error(labels, flat))
    assert value("mae", outputs, labels) == pytest.approx(reference.mean_absolute_error(labels, flat))
    assert value("mse", outputs, labels.reshape(40, 2, 3)) == value("mse", outputs, labels)


@pytest.mark.parametrize(
    ("name", "labels", "outputs", "message"),
    [
        ("top1", np.array([0, 1, 9, 2]), (4, 5), "label of sample 2 is class 9, output y has 5 classes"),
        ("top1", np.array([0, -1, 0, 0]), (4, 5), "label of sample 1 is class -1"),
        ("top1", np.array([0.5, 1, 2, 3]), (4, 5), "labels are not class ids"),
        ("top1", np.full((4, 5), 0.2), (4, 5), "labels are not class ids, they have 5 values a sample"),
        ("top1", np.zeros((4, 1, 2, 2)), (4, 5), "labels are not class ids"),
        ("top1", np.array([0, 1, 0, 0]), (4, 1), "sample 1 is class 1, output y has 1 classes"),
        ("top5", np.array([0, 1, 2, 3]), (4, 5), "top5 is right whatever the model answers"),
        ("mse", np.zeros((4, 3)), (4, 5), "labels have 3 values a sample, output y has 5"),
        ("mae", np.zeros(4, int), (4, 5), "labels have 1 values a sample, output y has 5"),
        ("f1", np.array([0, 1, 2, 0]), (4, 1), "label of sample 2 is class 2, output y has 2 classes"),
        ("f1", np.array([[1, 1, 0]] * 4), (4, 5), "labels have 3 values a sample, output y has 5"),
        ("auc", np.array([[0.5, 1.0]] * 4), (4, 2), "labels are neither class ids nor rows of 0 and 1"),
        ("auc", np.array([1, 1, 1, 1]), (4, 1), "auc is not defined for these labels, all are of one class"),
        ("auc", np.array([[1, 1], [1, 1], [0, 1], [0, 1]]), (4, 2), "label 1 is 1 for every sample"),
    ],
)
def test_labels_that_do_not_fit_are_said_in_one_line(
    name: str, labels: np.ndarray, outputs: tuple[int, ...], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        value(name, np.full(outputs, 0.5, np.float32), labels)
    assert message in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_answers_that_are_not_finite(odd: float) -> None:
    outputs = np.full((6, 4), 0.25, np.float32)
    outputs[:, 0] = 0.4
    assert value("top1", outputs, np.zeros(6, int)) == 1
    outputs[2, 3] = odd
    assert value("top1", outputs, np.zeros(6, int)) == pytest.approx(5 / 6)
    for name, labels in (("mse", np.zeros((6, 4))), ("f1", np.arange(6) % 4), ("auc", np.arange(6) % 4)):
        with pytest.raises(DataError, match="output 0 for sample 2 is not finite, one of 1") as caught:
            value(name, outputs, labels)
        assert caught.value.code == "not-finite"


def test_f1_of_something_that_is_no_probability() -> None:
    with pytest.raises(DataError, match="f1 wants scores between 0 and 1, the model answers -3 to 4"):
        value("f1", np.array([[-3.0], [4.0]], np.float32), [0, 1])


def test_another_number_of_labels_than_answers() -> None:
    scorer = metrics.load("top1")
    with pytest.raises(DataError, match="there are 3 answers and 4 labels"):
        scorer.value(Answers("top5", [np.zeros((3, 5), np.int32)]), np.zeros(4, int))


OWN = '''
import numpy as np
from beside import SCALE

def within(outputs, labels):
    """Share of answers that are near."""
    return (np.abs(outputs[:, 0, 0] - labels) < SCALE).astype(float)

def worst(outputs, labels):
    return float(np.abs(outputs[:, 0, 0] - labels).max())

worst.higher_is_better = False

def table(outputs, labels):
    return outputs

def fails(outputs, labels):
    raise KeyError("no such thing")
'''


def test_the_users_own_metric(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("SCALE = 0.5\n")
    (tmp_path / "quality.py").write_text(OWN)
    answers = Answers("all", [np.array([[[0.0]], [[1.0]], [[5.0]]], np.float32)])
    labels = np.array([0.1, 1.2, 3.0])
    within = metrics.load(f"{tmp_path}/quality.py:within")
    assert within.metric == Metric(
        name="quality.py:within",
        title="Share of answers that are near.",
        score=within.metric.score,
        keep="all",
        share=False,
        own=True,
    )
    assert within.value(answers, within.labels(labels, [spec(1)])) == pytest.approx(2 / 3)
    worst = metrics.load(f"{tmp_path}/quality.py:worst")
    assert worst.value(answers, labels) == 2.0
    assert not worst.metric.higher_is_better
    assert worst.metric.drop(2.0, 3.0) == 0.5
    with pytest.raises(DataError, match=r"quality.py:table returned float32 of shape \(3, 1, 1\)"):
        metrics.load(f"{tmp_path}/quality.py:table").value(answers, labels)
    with pytest.raises(DataError, match=r"quality.py:fails failed: KeyError: 'no such thing'"):
        metrics.load(f"{tmp_path}/quality.py:fails").value(answers, labels)
    with pytest.raises(UsageError, match=r"no function nothing in .*quality\.py") as caught:
        metrics.load(f"{tmp_path}/quality.py:nothing")
    assert "within, worst, table, fails" in caught.value.hint
    with pytest.raises(UsageError, match="no such file"):
        metrics.load(f"{tmp_path}/absent.py:within")
    (tmp_path / "broken.py").write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(UsageError, match=r"broken.py fails while it is imported: SystemExit: 3"):
        metrics.load(f"{tmp_path}/broken.py:within")
    with pytest.raises(UsageError, match="unknown metric: top-1") as caught:
        metrics.load("top-1")
    assert caught.value.hint == "did you mean `top1`?"


def test_what_a_drop_is() -> None:
    assert METRICS["top1"].drop(0.9, 0.88) == pytest.approx(0.02)
    assert METRICS["mse"].drop(50.0, 51.0) == pytest.approx(0.02)
    assert METRICS["mse"].drop(50.0, 25.0) == -0.5
    assert [METRICS[name].higher_is_better for name in ("top1", "top5", "f1", "auc", "mse", "mae")] == [
        True
    ] * 4 + [False] * 2
