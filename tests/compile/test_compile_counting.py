"""Which values of the goldens' outputs count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flat_requests import changed, compile_request

from edgewright.compile.data.counted_values import counting
from edgewright.compile.pipeline import compile_model
from edgewright.compile.workers.pool import Workers
from edgewright.errors import UsageError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.project import Compare

MASK = TensorSpec(name="mask", shape=(1, 4), dtype="int64")
IDS = TensorSpec(name="ids", shape=(1, 4), dtype="int64")
KEPT = np.array([[[1, 1, 1, 0]], [[1, 0, 0, 0]]])


def masked(*outputs: np.ndarray, mask: str | None = "mask", kept: np.ndarray = KEPT) -> list[np.ndarray]:
    return counting(mask, (IDS, MASK), [np.zeros_like(kept), kept], outputs)


def test_everything_counts_without_a_mask():
    (found,) = masked(np.zeros((2, 1, 4, 3)), mask=None)
    assert found.dtype == np.uint8 and found.all()


def test_padding_does_not_count_in_outputs_that_have_its_axes():
    tokens, pooled = masked(np.zeros((2, 1, 4, 3)), np.zeros((2, 1, 3)))
    assert np.array_equal(tokens[..., 0], KEPT) and np.array_equal(tokens[..., 2], KEPT)
    assert pooled.all()


def test_a_mask_of_pictures_fits_behind_the_channels():
    kept = np.arange(2 * 3 * 5).reshape(2, 1, 3, 5) % 2
    spec = TensorSpec(name="mask", shape=(1, 3, 5), dtype="int64")
    first, last = counting("mask", (spec,), [kept], [np.zeros((2, 1, 7, 3, 5)), np.zeros((2, 1, 3, 5, 7))])
    assert np.array_equal(first[:, :, 6], kept) and np.array_equal(last[..., 6], kept)


@pytest.mark.parametrize(
    ("mask", "kept", "shape", "words"),
    [
        ("padding", KEPT, (2, 1, 4, 3), r"names a mask that is not an input: padding"),
        ("mask", KEPT, (2, 1, 3), r"mask mask of shape \(1, 4\) fits no output"),
        ("mask", np.zeros_like(KEPT), (2, 1, 4, 3), "leaves nothing to compare"),
    ],
)
def test_a_mask_that_cannot_be_meant(mask, kept, shape, words):
    with pytest.raises(UsageError, match=words) as caught:
        masked(np.zeros(shape), mask=mask, kept=kept)
    assert caught.value.hint


def test_rows_past_the_number_of_detections_do_not_count():
    boxes, classes, number = np.zeros((2, 1, 5, 4)), np.zeros((2, 1, 5)), np.array([[2.0], [5.0]])
    found = counting(None, (), [], [boxes, classes, classes, number])
    assert found[0][0, 0, :, 3].tolist() == [1, 1, 0, 0, 0] and found[1][0, 0].tolist() == [1, 1, 0, 0, 0]
    assert found[2][1].all() and found[3].all()


@pytest.mark.parametrize("number", [[[2.5], [5.0]], [[2.0], [6.0]], [[-1.0], [2.0]]])
def test_one_number_that_is_no_count_hides_nothing(number):
    boxes, classes = np.zeros((2, 1, 5, 4)), np.zeros((2, 1, 5))
    assert all(count.all() for count in counting(None, (), [], [boxes, classes, np.array(number)]))


def test_a_label_beside_its_logits_is_no_number_of_detections():
    label, logits = np.array([[3], [0]]), np.zeros((2, 1, 10))
    assert all(count.all() for count in counting(None, (), [], [label, logits, logits]))


def test_ranks_of_equal_scores_may_be_in_either_order():
    scores = np.array([[[9.0, 7.0, 7.0, 1.0]], [[4.0, 3.0, 2.0, 1.0]]])
    ranks = np.arange(8).reshape(2, 1, 4)
    found = counting(None, (), [], [scores, ranks])
    assert found[0].all() and found[1][0, 0].tolist() == [1, 0, 0, 1] and found[1][1].all()
    assert counting(None, (), [], [-scores, ranks])[1].all()  # not sorted, so there are no ranks


def padded(folder: Path) -> Path:
    """Tokens of three numbers, (1, 6, 3), and their mask: where it is 0, the output is the unchanged input, a thousand times as large."""
    import onnx
    from onnx import TensorProto, helper

    scale = helper.make_tensor("thousand", TensorProto.FLOAT, (), [1000.0])
    axes = helper.make_tensor("axes", TensorProto.INT64, (1,), [2])
    nodes = [
        helper.make_node("Cast", ["mask"], ["kept"], to=TensorProto.BOOL),
        helper.make_node("Unsqueeze", ["kept", "axes"], ["wide"]),
        helper.make_node("Mul", ["x", "thousand"], ["garbage"]),
        helper.make_node("Tanh", ["x"], ["answer"]),
        helper.make_node("Where", ["wide", "answer", "garbage"], ["y"]),
    ]
    given = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 6, 3)),
        helper.make_tensor_value_info("mask", TensorProto.INT64, (1, 6)),
    ]
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 6, 3))
    graph = helper.make_graph(nodes, "padded", given, [made], [scale, axes])
    path = folder / "padded.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    draw, kept = np.random.default_rng(2), np.arange(6) < np.arange(1, 41)[:, None] % 6 + 1
    np.savez(
        folder / "texts.npz", x=draw.normal(size=(40, 6, 3)).astype(np.float32), mask=kept.astype(np.int64)
    )
    return path


def test_what_a_mask_hides_is_in_no_figure(tmp_path: Path, workers: Workers) -> None:
    source = padded(tmp_path)
    request = compile_request(
        source=source, target="onnxruntime", precision="fp16", calibration=tmp_path / "texts.npz"
    )
    hidden = compile_model(changed(request, compare=Compare(mask="mask")), workers=workers)
    with np.load(hidden.folder / hidden.manifest.goldens.file) as archive:
        assert np.array_equal(archive["counts_0"][..., 1], archive["input_1"])
    limits = hidden.manifest.verdict[0].limits
    assert limits.error is not None and limits.error < 0.1  # outputs are at most 1
    plain = compile_model(request, workers=workers)
    assert plain.id != hidden.id and (plain.manifest.verdict[0].limits.error or 0) > 10
    with pytest.raises(UsageError, match="names a mask that is not an input: nope"):
        compile_model(changed(request, compare=Compare(mask="nope")), workers=workers)
