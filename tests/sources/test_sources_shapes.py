"""Axes that a source leaves open: what is taken for the batch, what the user has to give, and the messages about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright.compile.data.samples import array_rows, fitted
from edgewright.compile.formats import FORMATS
from edgewright.compile.open_inputs import decided
from edgewright.compile.recognition import recognise
from edgewright.compile.sources.shapes import Axes, static_shapes
from edgewright.compile.tasks.source import SourceRef
from edgewright.compile.workers.pool import Workers
from edgewright.errors import DataError, ModelError
from edgewright.nouns.artifact import TensorSpec


@pytest.mark.parametrize("name", ["batch", "N", "batch_size", "unk__12", "x_dim_0", "s7", "bs", None, -1])
def test_an_open_batch_is_1_and_a_note_says_so(name: str | int | None) -> None:
    fixed = static_shapes({"x": (name, 3), "y": (2,)}, {})
    assert fixed == ({"x": (1, 3), "y": (2,)}, ("batch of x was open, made 1",))


@pytest.mark.parametrize(
    "name",
    ["sequence", "seq_len", "sequence_length", "time", "frames", "T", "length", "num_nodes", "numPoints"],
)
def test_a_first_axis_that_is_no_batch_is_asked_for(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        static_shapes({"x": (name, 1, 8)}, {})
    word = name.upper()
    assert caught.value.message == f"input has open axes: x ({name}, 1, 8)"
    assert caught.value.hint == f"give the sizes: --input-shape x={word},1,8 (such as x=20,1,8)"
    fixed = static_shapes({"x": (name, 1, 8)}, {"x": (20, 1, 8)})
    assert fixed == ({"x": (20, 1, 8)}, (f"input x was ({name}, 1, 8), made (20, 1, 8)",))


def test_an_input_that_is_read_time_first_has_no_batch_there() -> None:
    with pytest.raises(ModelError) as caught:
        static_shapes({"x": (None, 1, 8)}, {}, {"x"})
    assert "x=SIZE,1,8 (such as x=20,1,8)" in caught.value.hint


def test_all_open_axes_are_reported_at_once() -> None:
    axes: dict[str, Axes] = {
        "ids": ("batch", "seq"), "mask": ("batch", "seq"), "image": (None, 3, None, None), "more": (None, 5), "any": None,
    }  # fmt: skip
    with pytest.raises(ModelError) as caught:
        static_shapes(axes, {"image": (1, 3, 32, 32)})
    assert caught.value.message == (
        "inputs have open axes: ids (batch, seq), mask (batch, seq), any (of unknown rank)"
    )
    assert caught.value.hint == (
        "give the sizes: --input-shape ids=1,SEQ --input-shape mask=1,SEQ --input-shape any=1,SIZES (such as ids=1,20)"
    )
    with pytest.raises(ModelError, match="image") as caught:
        static_shapes({"image": (None, "s1", "s2", 3)}, {})
    assert caught.value.hint.endswith("image=1,HEIGHT,WIDTH,3 (such as image=1,224,224,3)")


def test_one_size_fixes_all_axes_of_its_name() -> None:
    axes: dict[str, Axes] = {"ids": ("batch", "seq"), "mask": ("batch", "seq"), "other": ("batch", "rows")}
    with pytest.raises(ModelError, match=r"^input has open axes: other \(batch, rows\)$"):
        static_shapes(axes, {"ids": (2, 9)})
    fixed = static_shapes(axes, {"ids": (2, 9), "other": (2, 4)})
    assert fixed.shapes == {"ids": (2, 9), "mask": (2, 9), "other": (2, 4)}
    assert "input mask was (batch, seq), made (2, 9)" in fixed.notes
    own = {
        "ids": (1, 9),
        "mask": (1, 8),
        "other": (1, 4),
    }  # names of axes may be wrong: the user's word counts
    assert static_shapes(axes, own).shapes == own


def test_an_axis_of_0_is_asked_for() -> None:
    with pytest.raises(ModelError, match=r"input has axes that are open or 0: x \(0, 3\)") as caught:
        static_shapes({"x": (0, 3)}, {})
    assert caught.value.hint == "give the sizes: --input-shape x=1,3"
    assert static_shapes({"x": (0, 3)}, {"x": (1, 3)}).shapes == {"x": (1, 3)}


def test_a_fixed_batch_is_not_changed() -> None:
    with pytest.raises(ModelError, match=r"\(1, 3\) for \(4, 3\)") as caught:
        static_shapes({"x": (4, 3)}, {"x": (1, 3)})
    assert "export the model again with an open batch, or a batch of 1" in caught.value.hint
    spec = TensorSpec(name="x", shape=(4, 3), dtype="float32")
    for row in (np.zeros(3, np.float32), np.zeros((1, 3), np.float32)):
        with pytest.raises(
            DataError, match=r"input x takes 4 rows at once, sample 5 of some\.npz is one"
        ) as small:
            fitted(row, spec, "some.npz", 5)
        assert "x.reshape(-1, 4, 3)" in small.value.hint


@pytest.mark.parametrize(("kind", "file"), [("onnx", "{}.onnx"), ("keras", "{}.keras")])
@pytest.mark.parametrize("name", ["two_in_two_out", "tokens", "dynamic"])
def test_a_dry_run_reads_what_a_conversion_does(
    small_models: Callable[[str], Path], workers: Workers, kind: str, file: str, name: str
) -> None:
    path = small_models(kind) / file.format(name)
    shapes = {"image": (1, 12, 14, 3) if kind == "keras" else (1, 3, 12, 14)} if name == "dynamic" else {}
    if shapes:
        with pytest.raises(ModelError, match="input has open axes: image"):
            decided(compile_request(source=path, target="onnxruntime"), kind)
    found = recognise(path).source
    source = SourceRef(path=path, format=kind, sha256=found.sha256, shapes=tuple(shapes.items()))
    noted = workers.call(
        FORMATS[kind].framework, "edgewright.compile.tasks.source", "source_notes", source=source, outputs=()
    )
    assert decided(compile_request(source=path, target="onnxruntime", shapes=shapes), kind) == noted


def test_what_cannot_be_read_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x08\x07\x3a\xff")
    (tmp_path / "net.xml").write_text("<net><layer type='Parameter' name='x'><data shape='1,?,3'/>")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/saved_model.pb").write_bytes(b"\x08\x01")  # without a signature
    for path, kind in (
        ("folder", "savedmodel"),
        ("net.onnx", "onnx"),
        ("net.xml", "ir"),
        ("net.pb", "frozen"),
        ("none.keras", "keras"),
    ):
        assert decided(compile_request(source=tmp_path / path, target="onnxruntime"), kind) == ()


def test_a_single_value_is_no_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", labels=np.array(3))
    with pytest.raises(DataError, match=r"data\.npz labels is a single value") as caught:
        array_rows(tmp_path / "data.npz", "labels")
    assert caught.value.hint == "give one row per sample"
