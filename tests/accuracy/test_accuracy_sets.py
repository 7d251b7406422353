"""Evaluation sets: folders of labelled images, the user's generator, arrays; and one line for each mistake in them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgewright.compile.data import evaluation_set, labels
from edgewright.compile.data.data_hash import data_sha256
from edgewright.compile.quality import metrics
from edgewright.compile.workers.pool import Workers
from edgewright.config import home, usage_marks
from edgewright.errors import DataError, EdgewrightError, UsageError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.project import Preprocessing
from edgewright.store import cache

IMAGE = TensorSpec(name="image", shape=(1, 4, 4, 1), dtype="float32")
GRAY = Preprocessing(channels="gray")
TWO = (
    TensorSpec(name="left", shape=(1, 2), dtype="float32"),
    TensorSpec(name="right", shape=(1, 1), dtype="int32"),
)


def image(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), value).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """cat/1.png cat/sub/2.png dog/0.png eel/0.png, gray values 10 20 30 40."""
    place = tmp_path / "set"
    for name, value in (("cat/1.png", 10), ("cat/sub/2.png", 20), ("dog/0.png", 30), ("eel/0.png", 40)):
        image(place / name, value)
    return place


def prepared(path: Path) -> tuple[list[float], list[Any]]:
    """The first pixel of each sample, and its label."""
    made = evaluation_set.prepare(path, [IMAGE], GRAY)
    with np.load(made.inputs) as found:
        pixels = found["input_0"][:, 0, 0, 0, 0].tolist()
    assert made.count == len(pixels)
    return pixels, made.load_labels().tolist()


def test_a_sub_folder_is_a_class(folder: Path) -> None:
    assert prepared(folder) == ([10, 20, 30, 40], [0, 0, 1, 2])
    (folder / "classes.txt").write_text("eel\nbee\n\ndog\ncat\n")
    assert prepared(folder) == ([10, 20, 30, 40], [3, 3, 2, 0])


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("cat/1.png,ant\ncat/sub/2.png,bee\ndog/0.png,ant\neel/0.png,cow\n", [0, 1, 0, 2]),
        ("file,label\neel/0.png,7\ncat/1.png, 3\ncat/sub/2.png,3\n\ndog/0.png,5\n", [3, 3, 5, 7]),
        ("\ufefffile,label\ncat/1.png,0.5\ncat/sub/2.png,1\ndog/0.png,2\neel/0.png,-3\n", [0.5, 1, 2, -3]),
        (
            "file,x,y\ncat/1.png,1,0\ncat/sub/2.png,0,1\ndog/0.png,1,1\neel/0.png,0,0\n",
            [[1, 0], [0, 1], [1, 1], [0, 0]],
        ),
    ],
    ids=["names", "numbers", "figures", "several"],
)
def test_labels_in_a_table(folder: Path, table: str, expected: list[Any]) -> None:
    (folder / "labels.csv").write_text(table, encoding="utf-8")
    assert prepared(folder) == ([10, 20, 30, 40], expected)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"loose.png": None}, "image has no label: "),
        ({"fox": None}, "class has no images: "),
        ({"classes.txt": "cat\ndog\n"}, "class eel of "),
        ({"classes.txt": "cat\ndog\ncat\neel\n"}, "names cat twice"),
        ({"classes.txt": "\n"}, "classes.txt is empty"),
        ({"labels.csv": ""}, "labels are empty: "),
        ({"labels.csv": "file,label\n"}, "labels are empty: "),
        ({"labels.csv": "cat/1.png,0\n"}, "has no label: cat/sub/2.png"),
        ({"labels.csv": "cat/1.png,0\ncat/1.png,1\n"}, "has cat/1.png twice"),
        (
            {"labels.csv": "a.png,0\ncat/1.png,0\ncat/sub/2.png,0\ndog/0.png,0\neel/0.png,1\n"},
            "is not there: a.png",
        ),
        ({"labels.csv": "cat/1.png,0\ncat/sub/2.png,0,1\ndog/0.png,0\neel/0.png,1\n"}, "differ in length"),
        ({"labels.csv": "cat/1.png\ncat/sub/2.png\ndog/0.png\neel/0.png\n"}, "differ in length"),
        (
            {"labels.csv": "cat/1.png,0,a\ncat/sub/2.png,0,1\ndog/0.png,0,1\neel/0.png,1,1\n"},
            "is not a number: ",
        ),
        (
            {"labels.csv": "cat/1.png,nan\ncat/sub/2.png,0\ndog/0.png,0\neel/0.png,1\n"},
            "hold NaN or infinity",
        ),
        ({"labels.csv": b"\xff\xfe\x00"}, "labels cannot be read: "),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_with_a_folder(folder: Path, files: dict[str, Any], message: str) -> None:
    for name, content in files.items():
        if content is None and name.endswith(".png"):
            image(folder / name, 1)
        elif content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        prepared(folder)
    assert message in caught.value.message
    assert caught.value.hint and "\n" not in caught.value.message


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="folder holds no images"):
        prepared(tmp_path)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"labels": np.array(["a", "b"])}, "labels of .* are not numbers: <U1"),
        ({"labels": np.array([1.0, np.nan])}, "labels of .* hold NaN or infinity"),
        ({"labels": np.zeros(3, int)}, "has 2 samples and 3 labels"),
        ({}, "evaluation set has no labels"),
        ({"labels": np.zeros(2, complex)}, "labels of .* are not numbers: complex128"),
    ],
)
def test_what_is_wrong_with_an_archive(tmp_path: Path, members: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "e.npz", image=np.zeros((2, 4, 4, 1), np.float32), **members)
    with pytest.raises(DataError, match=message):
        prepared(tmp_path / "e.npz")
    np.save(tmp_path / "e.npy", np.zeros((2, 4, 4, 1), np.float32))
    with pytest.raises(DataError, match="evaluation set has no labels"):
        prepared(tmp_path / "e.npy")


def test_labels_keep_their_kind(tmp_path: Path) -> None:
    for given, dtype in (
        (np.array([True, False]), "int32"), (np.array([1, 2**40]), "int64"), (np.array([0.5, 1], np.float16), "float32"),
        (np.array([[0.5], [1.0]]), "float64"),
    ):  # fmt: skip
        np.savez(tmp_path / "e.npz", labels=given)
        found = labels.read(tmp_path / "e.npz")
        assert (found.dtype.name, found.shape) == (dtype, given.shape)
        assert np.array_equal(found, given)


FUNCTION = """
import numpy as np

def pairs():
    for index in range(5):
        yield {"right": np.array([index]), "left": [index, 0.5]}, index % 2

def lists():
    for index in range(3):
        yield [np.array([index, 1.0], "float64"), np.array([index])], [index, 2.5]

def tells():
    print("this goes to the log")
    yield from pairs()

def nothing():
    return iter(())

def no_pair():
    yield np.zeros(2)

def wrong_names():
    yield {"left": np.zeros(2)}, 0

def too_few():
    yield [np.zeros(2)], 0

def wrong_shape():
    yield [np.zeros(2), np.array([0])], 0
    yield [np.zeros(3), np.array([0])], 0

def breaks():
    yield [np.zeros(2), np.array([0])], 0
    raise RuntimeError("the camera is gone\\nreally")

def uneven():
    yield [np.zeros(2), np.array([0])], 0
    yield [np.zeros(2), np.array([0])], [1, 2]

def dies():
    import os
    yield [np.zeros(2), np.array([0])], 0
    os._exit(7)

def not_a_generator():
    return 3

VALUE = 5
"""


@pytest.fixture
def made(tmp_path: Path, workers: Workers) -> Callable[[str], evaluation_set.EvaluationSet]:
    (tmp_path / "samples.py").write_text(FUNCTION)
    return lambda name: evaluation_set.prepare(tmp_path / f"samples.py:{name}", TWO, workers=workers)


def test_the_users_own_generator_runs_in_a_worker(made: Any, workers: Workers, tmp_path: Path) -> None:
    found = made("tells")
    with np.load(found.inputs) as members:
        assert members["input_0"].tolist() == [[[index, 0.5]] for index in range(5)]
        assert members["input_1"].dtype == np.int32
        assert members["input_1"].tolist() == [[[index]] for index in range(5)]
    assert found.load_labels().tolist() == [0, 1, 0, 1, 0]
    assert data_sha256(tmp_path / "samples.py:tells") != data_sha256(tmp_path / "samples.py:pairs")
    assert found.sha256 not in (made("pairs").sha256, made("lists").sha256)
    assert made("lists").load_labels().tolist() == [[0, 2.5], [1, 2.5], [2, 2.5]]


def test_what_a_generator_prints_goes_to_the_log(tmp_path: Path) -> None:
    (tmp_path / "samples.py").write_text(FUNCTION)
    log = home.folder("logs") / "convert.log"
    with Workers(log) as workers:  # the others started with another state folder
        evaluation_set.prepare(tmp_path / "samples.py:tells", TWO, workers=workers)
    assert "this goes to the log" in log.read_text()


@pytest.fixture
def counting(tmp_path: Path) -> Path:
    """A generator whose input, and whose label after the second run, show how often it ran."""
    (tmp_path / "count.py").write_text(
        f"import pathlib\nFILE = pathlib.Path({str(tmp_path / 'n')!r})\n"
        "def pairs():\n"
        "    n = len(FILE.read_text()) if FILE.exists() else 0\n"
        "    FILE.write_text('x' * (n + 1))\n"
        "    yield [[n, 0.0], [n]], max(n - 1, 0)\n"
    )
    return tmp_path / "count.py:pairs"


def runs(made: evaluation_set.EvaluationSet) -> int:
    with np.load(made.inputs) as found:
        return int(found["input_1"].item())


def test_a_generator_runs_again_when_asked_to_and_once_a_command(
    counting: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for fresh in (False, False, True, True, False, True):
        monkeypatch.setattr(workers, "made", {})  # another command
        made = [evaluation_set.prepare(counting, TWO, workers=workers, fresh=fresh) for _ in range(2)]
        assert made[0] == made[1]
        found.append(made[0])
    assert [runs(made) for made in found] == [0, 0, 1, 2, 2, 3], "what an earlier command uses stays its own"
    assert [made.load_labels().tolist() for made in found] == [[0], [0], [0], [1], [1], [2]]
    assert len({made.sha256 for made in found}) == 4, "other inputs are another set, as other labels are"


def test_the_integers_are_those_of_the_newest_run(counting: Path, workers: Workers) -> None:
    whole = (TensorSpec(name="left", shape=(1, 2), dtype="int8", scale=0.5, zero_point=3), TWO[1])
    for expected in ([3, 3], [5, 3]):
        workers.made.clear()
        made = evaluation_set.prepare(counting, TWO, workers=workers, fresh=True)
        place = evaluation_set.quantised(made, whole)
        assert evaluation_set.quantised(made, whole) == place
        with np.load(place) as found:
            assert found["input_0"].tolist() == [[expected]]
    with usage_marks.taken(place) as free:
        assert not free, "nobody may prune it"


def test_inputs_that_are_called_as_another_place_is(tmp_path: Path) -> None:
    def said(names: tuple[str, str]) -> list[float]:
        specs = [TensorSpec(name=name, shape=(1, 1), dtype="int8", scale=1.0, zero_point=0) for name in names]
        made = evaluation_set.prepare(tmp_path / "e.npz", evaluation_set.real_valued(specs))
        with np.load(evaluation_set.quantised(made, specs)) as found:
            return [float(found[f"input_{index}"][0, 0, 0]) for index in range(2)]

    first, second = (np.full((2, 1), value, np.float32) for value in (1, 2))
    np.savez(tmp_path / "e.npz", input_0=first, input_1=second, labels=np.zeros(2, int))
    assert said(("input_1", "input_2")) == [1, 2]
    assert said(("input_1", "input_0")) == [2, 1]
    np.savez(tmp_path / "e.npz", input_1=first, input_2=second, labels=np.zeros(2, int))
    assert said(("input_1", "input_2")) == [1, 2]
    assert said(("input_2", "input_1")) == [2, 1]


def test_a_set_that_lost_a_file_is_made_again(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", x=np.zeros((3, 2), np.float32), labels=np.arange(3))
    made = evaluation_set.prepare(tmp_path / "e.npz", TWO[:1])
    for lost in (made.inputs, made.labels):
        before = lost.read_bytes()
        lost.unlink()
        assert evaluation_set.prepare(tmp_path / "e.npz", TWO[:1]) == made
        assert lost.read_bytes() == before
    assert [place.name for place in made.inputs.parents[1].iterdir()] == [made.inputs.parent.name]
    assert [entry.path for entry in cache.prune(max_bytes=0).in_use] == [made.inputs.parent]
    assert made.inputs.is_file()


def test_names_are_numbered_only_where_all_classes_are_named(folder: Path) -> None:
    """A model with four outputs has one class besides cat, dog and eel, whose index is unknown."""
    three, four = (TensorSpec(name="y", shape=(1, width), dtype="float32") for width in (3, 4))

    def fitted(metric: str, output: TensorSpec) -> list[Any]:
        made = evaluation_set.prepare(folder, [IMAGE], GRAY)
        return metrics.load(metric).labels(made.load_labels(), [output], names=made.names).tolist()

    for metric in ("top1", "f1", "auc"):
        assert fitted(metric, three) == [0, 0, 1, 2]
        with pytest.raises(DataError, match="3 class folders but output y has 4 classes") as caught:
            fitted(metric, four)
        assert "classes.txt" in caught.value.hint
    table = "cat/1.png,{}\ncat/sub/2.png,{}\ndog/0.png,{}\neel/0.png,{}\n"
    (folder / "labels.csv").write_text("file,label\n" + table.format("ant", "bee", "ant", "bee"))
    with pytest.raises(DataError, match="2 class folders but output y has 3 classes"):
        fitted("top1", three)
    (folder / "labels.csv").write_text(table.format(1, 2, 1, 2))
    assert fitted("top1", four) == [1, 2, 1, 2]
    (folder / "labels.csv").unlink()
    (folder / "classes.txt").write_text("ant\ncat\ndog\neel\n")
    assert fitted("top1", four) == [1, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "evaluation set is empty"),
        ("no_pair", "yields no pair at sample 0: ndarray"),
        ("wrong_names", "yields other inputs at sample 0: left"),
        ("too_few", "yields 1 inputs at sample 0, the model has 2"),
        ("wrong_shape", "sample 1 of .* has the wrong shape"),
        ("breaks", "failed at sample 1: RuntimeError: the camera is gone"),
        ("uneven", "labels of .* differ in shape"),
        ("not_a_generator", "is not a generator, it returned int"),
        ("dies", "ended its process: exit code 7"),
    ],
)
def test_what_is_wrong_with_a_generator(made: Any, name: str, message: str) -> None:
    with pytest.raises(EdgewrightError, match=message) as caught:
        made(name)
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_function_that_is_not_there(made: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no function absent in"):
        made("absent")
    with pytest.raises(DataError, match="no such data file"):
        evaluation_set.prepare(tmp_path / "other.py:pairs", TWO)


def test_real_values_become_a_quantised_models_integers(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "e.npz", x=np.linspace(-1, 2, 12, dtype=np.float32).reshape(3, 4), labels=np.arange(3)
    )
    plain = TensorSpec(name="x", shape=(1, 4), dtype="float32")
    whole = TensorSpec(name="x", shape=(1, 4), dtype="int8", scale=1 / 64, zero_point=-3)
    given = evaluation_set.prepare(tmp_path / "e.npz", [plain])
    with np.load(evaluation_set.quantised(given, [whole])) as found:
        values = found["input_0"]
    assert values.dtype == np.int8
    expected = np.clip(np.rint(np.linspace(-1, 2, 12) * 64) - 3, -128, 127)
    assert np.array_equal(values.reshape(-1), expected)
    integers = evaluation_set.EvaluationSet(
        inputs=evaluation_set.quantised(given, [whole]), labels=given.labels, count=3, sha256=""
    )
    with np.load(evaluation_set.dequantised(integers, [whole])) as found:
        assert found["input_0"].dtype == np.float32
        assert np.array_equal(found["input_0"].reshape(-1), (expected + 3).astype(np.float32) / 64)


def test_the_archive_of_a_set_is_stored_and_deterministic(folder: Path) -> None:
    made = evaluation_set.prepare(folder, [IMAGE], GRAY)
    before = made.inputs.read_bytes()
    made.inputs.unlink()
    assert evaluation_set.prepare(folder, [IMAGE], GRAY).inputs.read_bytes() == before
    with zipfile.ZipFile(made.inputs) as archive:
        assert [(info.filename, info.compress_type) for info in archive.infolist()] == [("input_0.npy", 0)]
