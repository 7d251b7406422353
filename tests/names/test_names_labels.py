"""The names of classes: what is read from a labels file, what they fit, and what `infer` makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.api.results import BoardAnswer
from edgewright.cli.views.infer import show
from edgewright.compile.data import class_names
from edgewright.errors import DataError, ProtocolError
from edgewright.measure.infer import Inference
from edgewright.measure.release_manifest import Released, known_of
from edgewright.nouns.artifact import TensorSpec
from edgewright.wire import commands


def spec(name: str, *shape: int, dtype: str = "float32", **more: Any) -> TensorSpec:
    return TensorSpec(name=name, shape=shape, dtype=dtype, **more)


def inference(outputs: tuple[TensorSpec, ...], labels: tuple[str, ...], **arrays: Any) -> Inference:
    about = Released(inputs=(), outputs=outputs, labels=labels)
    return Inference(arrays, 1.0, "v1", "r", "cpu", (), about=about)


def test_a_labels_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes("\ufeffno person\r\n a \x1b[31mperson\u202e \r\ngröße\r\n\r\n".encode())
    assert class_names.read(file) == ("no person", "a [31mperson", "größe")
    assert class_names.read(None) == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"one\n\nthree\n", "line 2 of labels file is empty"),
        (b"one\n" + b"x" * 201, "line 2 of labels file is longer than 200 letters"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"x\n" * 200_000, "is larger than 256 KiB"),
        ("\U0001f600\n".encode() * 50_000, "is larger than 256 KiB in a manifest"),
    ],
)
def test_a_labels_file_that_is_none(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes(content)
    with pytest.raises(DataError, match=said):
        class_names.read(file)


@pytest.mark.parametrize(
    ("count", "output", "fits"),
    [
        (5, spec("y", 1, 5), True),
        (4, spec("y", 1, 5), False),
        (2, spec("y", 1, 1), True),  # one score stands for two classes
        (3, spec("y", 1, 1), False),
        (21, spec("y", 1, 21, 8, 8), True),  # a class a place
        (90, spec("y", 1, 1, dtype="int64"), True),  # numbers of classes: who knows how many
        (90, spec("y", 1, 1, dtype="int8", scale=0.5), False),
    ],
)
def test_labels_have_to_fit(count: int, output: TensorSpec, fits: bool) -> None:
    names = tuple(map(str, range(count)))
    if fits:
        class_names.check(names, [spec("other", 1, 7), output])
    else:
        with pytest.raises(DataError, match=f"labels file has {count} classes, output other has 7, y has"):
            class_names.check(names, [spec("other", 1, 7), output])


def test_the_best_five_of_each_sample() -> None:
    one = inference((spec("y", 1, 6), spec("z", 1, 2)), tuple("abcdef"), y=np.array([[[1, 6, 2, 5, 3, 4]], [[6, 5, 4, 3, 2, 1]]]), z=np.ones((2, 1, 2)))  # fmt: skip
    assert [[label for _, label, _ in rows] for rows in one.top("y")] == [list("bdfec"), list("abcde")]
    assert one.top("z") == []  # no scores of classes


def test_one_score_for_two_classes() -> None:
    outputs, labels = (spec("y", 1, 1),), ("no", "yes")
    sure = inference(outputs, labels, y=np.array([[[0.75]]]))
    assert sure.top("y") == [[(1, "yes", 0.75), (0, "no", 0.25)]]
    logit = inference(outputs, labels, y=np.array([[[-3.0]]]))
    assert logit.top("y") == [[(0, "no", 3.0), (1, "yes", -3.0)]]


def test_what_people_see(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = (spec("scores", 1, 3), spec("class", 1, dtype="int64"), spec("boxes", 1, 100))
    one = inference(
        outputs, ("cat", "dog", "größe"), **{"scores": np.array([[[0.1, 0.2, 0.7]]] * 7), "class": np.array([[2]] * 7)},
        boxes=np.arange(700.0).reshape(7, 1, 100),
    )  # fmt: skip
    show([BoardAnswer(board="b", result=one)])
    rows = capsys.readouterr().out.splitlines()
    assert rows[1:3] == ["  scores [1, 3], 7 samples", "    0: größe 0.7000, dog 0.2000, cat 0.1000"]
    assert "    0: größe (2)" in rows and rows.count("    ... 2 more; --output FILE saves all") == 3
    assert all(len(row) <= 140 for row in rows)
    assert next(row for row in rows if row.startswith("    0: 0, 1, 2")).endswith(", ...; greatest at 99")


@pytest.mark.parametrize(
    "change",
    [
        {"outputs": [{"name": "y", "shape": [1, -5], "dtype": "float32"}]},
        {"outputs": [{"name": "y", "shape": [2**20, 2**20], "dtype": "float32"}]},
        {"outputs": [{"name": "y", "shape": [1], "dtype": "O"}]},
        {"outputs": [{"name": "y", "shape": [1], "dtype": "float33"}]},
        {"outputs": "y"},
        {"preprocessing": {"size": [10**6, 10**6]}},
        {"labels": 3},
        {"calibration": 3},
        {"inputs": None},
    ],
)
def test_a_board_may_say_anything(change: dict[str, Any]) -> None:
    tensor = {"name": "x", "shape": [1, 3], "dtype": "float32", "of a newer version": 1}
    plain: dict[str, Any] = {
        "schema": 2, "precision": "int8", "inputs": [tensor], "outputs": [tensor], "labels": ["a", "b", "c"],
        "calibration": {"ranges": [[0, 1]], "kind": "data"}, "preprocessing": None, "of a newer version": 1,
    }  # fmt: skip

    def said(manifest: dict[str, Any]) -> Released | None:
        return known_of(commands.Describe(model="m").read({"manifest": manifest}).manifest)

    known = said(plain)
    assert known is not None and known.labels == ("a", "b", "c") and known.ranges == ((0.0, 1.0),)
    assert said({**plain, "schema": 99}) is None
    with pytest.raises(ProtocolError, match="manifest"):
        said({**plain, **change})
