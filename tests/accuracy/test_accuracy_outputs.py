"""Models with several outputs: which one is scored; it is the same one on the host, on the board and for the incumbent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from msgspec.structs import replace
from onnx import TensorProto, helper, numpy_helper

from edgewright.compile.data.answers import Answers, collected
from edgewright.compile.quality import metrics, scored_output
from edgewright.deployments.board_scoring import Scoring
from edgewright.errors import DataError, EdgewrightError, UsageError
from edgewright.nouns.artifact import TensorSpec
from edgewright.wire.answers import Tensor

COUNT, FEATURES = 100, 6
BOX, FINE, COARSE = (TensorSpec(name=name, shape=(1, width), dtype="float32")
                     for name, width in (("box", 2), ("fine", 8), ("coarse", 5)))  # fmt: skip
IDS = np.arange(COUNT) % 8


def chosen(metric: str, labels: np.ndarray, score: str | None = None) -> scored_output.Scored:
    return scored_output.choose(metrics.load(metric), labels, [BOX, FINE, COARSE], score)


def test_the_only_output_that_the_labels_fit_is_taken_and_named() -> None:
    found = chosen("top1", IDS)  # eight classes
    assert found.scorer.output == 1 and found.scorer.metric.keep == "top5"
    assert found.note == "top1 scores output fine, the only one of 3 that the labels fit"
    assert chosen("mse", np.zeros((COUNT, 5))).scorer.output == 2
    assert chosen("mse", np.zeros((COUNT, 2))).scorer.output is None  # the first, as always


def test_an_output_is_named_by_name_or_index() -> None:
    for score in ("coarse", "2"):
        found = chosen("top1", IDS % 5, score)
        assert (found.scorer.output, found.note) == (2, "")
    assert chosen("top1", IDS % 2, "box").scorer.output is None
    with pytest.raises(UsageError) as unknown:
        chosen("top1", IDS, "boxes")
    assert unknown.value.hint == "outputs are 0 box, 1 fine, 2 coarse"
    with pytest.raises(UsageError):
        chosen("top1", IDS, "3")
    with pytest.raises(DataError, match="output coarse has 5 classes"):
        chosen("top1", IDS, "coarse")


def test_several_or_no_fitting_outputs_are_listed() -> None:
    with pytest.raises(UsageError, match="the labels fit 2 of them by top1: fine, coarse") as several:
        chosen("top1", IDS % 5)
    assert "--score" in several.value.hint
    with pytest.raises(DataError, match=r"fit none of the 3 outputs by top1: box: .* fine: .* coarse: "):
        chosen("top1", IDS + 1)


def test_many_outputs_and_long_names_stay_one_short_line() -> None:
    many = [TensorSpec(name=f"{'head_' * 60}{index}", shape=(1, 8), dtype="float32") for index in range(300)]
    scorer = metrics.load("top1")
    for labels, score in ((IDS, None), (IDS + 1, None), (IDS, "none"), (IDS, "\N{ARABIC-INDIC DIGIT THREE}")):
        with pytest.raises(EdgewrightError) as refused:
            scored_output.choose(scorer, labels, many, score)
        text = f"{refused.value.message} {refused.value.hint}"
        assert len(text) < 1200 and " more" in text, text
        assert many[0].name not in text


def test_one_output_of_all_is_what_the_host_keeps_of_it() -> None:
    random = np.random.default_rng(1)
    rows = [[random.normal(size=(1, 2)), random.normal(size=(1, 8))] for _ in range(20)]
    answers = Answers("all", [np.stack(column) for column in zip(*rows, strict=True)])
    for keep in ("top5", "first"):
        here = collected(lambda row: row, rows, keep, 1)
        there = answers.of_output(1, keep)
        assert (here.keep, there.keep) == (keep, keep)
        assert np.array_equal(here.arrays[0], there.arrays[0])


@pytest.mark.parametrize(
    ("mine", "scored_one", "theirs", "place"),
    [
        (["head_1", "head_2"], 1, ["head_2", "head_1"], 0),
        (["scores", "boxes"], 0, ["boxes:0", "serving_default_scores:0"], 1),
        (["dense_2", "dense_3"], 0, ["dense_1", "dense_2"], 0),  # trained in one process
        (["scores", "boxes"], 1, ["Identity", "Identity_1"], 1),
        (["scores"], 0, ["classes"], 0),
        (["scores_1", "scores_2"], 1, ["scores", "boxes"], None),
        (["scores", "boxes"], 1, ["Identity"], None),
        (["Identity", "scores"], 0, ["scores", "Identity"], None),  # the other one
    ],
)
def test_the_incumbents_output_is_the_one_that_is_scored_or_none(
    mine: list[str], scored_one: int, theirs: list[str], place: int | None
) -> None:
    outputs = [TensorSpec(name=name, shape=(1, 4), dtype="float32") for name in mine]
    scorer = metrics.load("top1").of_output(scored_one)
    one = Scoring(scorer, None, np.zeros(1), outputs, Path("inputs"))  # type: ignore[arg-type]
    there = [Tensor(name=name, shape=(1, 4), dtype="float32") for name in theirs]
    if place is not None:
        assert one._place(there) == place
    else:
        with pytest.raises(DataError, match=f"which of its outputs is {mine[scored_one]} is not known"):
            one._place(there)
    if len(mine) > 1:
        with pytest.raises(DataError, match="not known"):
            one._place([replace(spec, name="x", shape=(1, 5)) for spec in there])


def save(path: Path, weights: dict[str, np.ndarray], order: tuple[str, ...]) -> None:
    """A model from `x (1, 6)` to one linear output per name, in this order."""
    nodes = [helper.make_node("MatMul", ["x", f"w_{name}"], [name]) for name in order]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, weights[name].shape[1]]) for name in order
    ]
    initial = [numpy_helper.from_array(weights[name].astype(np.float32), f"w_{name}") for name in order]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, FEATURES])]
    graph = helper.make_graph(nodes, "heads", inputs, outputs, initial)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


@pytest.mark.slow
def test_boards_score_the_same_output(
    run: Callable[..., Any], board: Callable[[str], str], tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=(COUNT, FEATURES)).astype(np.float32)
    heads = {"box": random.normal(size=(FEATURES, 8)), "fine": random.normal(size=(FEATURES, 8))}
    labels = (x @ heads["fine"]).argmax(axis=1)
    labels[:7] = (labels[:7] + 1) % 8
    np.savez(tmp_path / "set.npz", x=x, labels=labels)
    save(tmp_path / "heads.onnx", heads, ("box", "fine"))
    save(tmp_path / "other_order.onnx", {**heads, "fine": heads["fine"] * 1.001}, ("fine", "box"))
    (tmp_path / "own.py").write_text(
        "def right(outputs, labels):\n"
        "    return (outputs.reshape(len(outputs), -1).argmax(1) == labels).astype(float)\n"
    )
    plain = ("--target", "onnxruntime", "--precision", "fp32", "--evaluation", tmp_path / "set.npz")
    to_board = ("--to", board(""), "--name", "heads")
    silent = run("convert", tmp_path / "heads.onnx", *plain)
    assert silent.error["code"] == "output-ambiguous"
    own = ("--metric", f"{tmp_path / 'own.py'}:right")
    for metric in (("--metric", "top1"), own):
        made = run("convert", tmp_path / "heads.onnx", *plain, *metric, "--score", "fine").json["manifest"]
        assert made["accuracy"]["output"] == 1
        assert made["accuracy"]["source"] == made["accuracy"]["artifact"] == pytest.approx(0.93)
    sent = run("deploy", tmp_path / "heads.onnx", *to_board, *plain, "--score", "fine")
    assert sent.code == 0, sent.out
    check = sent.check("accuracy against its source")
    assert check["value"] == 0 and check["n"] == COUNT and "of output fine" in check["note"], check
    more = (*plain, *own, "--score", "fine", "--accept-interface-change")
    again = run("deploy", tmp_path / "other_order.onnx", *to_board, *more)
    assert again.code == 0, again.out
    against = again.check("accuracy against the incumbent")  # its output 1
    assert (against["value"], against["ok"]) == (0, True)
