"""The outputs that a board reports are checked before they are scored."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from edgewright.compile.data import evaluation_set, goldens
from edgewright.compile.quality import metrics
from edgewright.compile.quality.user_comparison import Similarity
from edgewright.connect.session import Session
from edgewright.connect.transfer import check_size
from edgewright.deployments import board_answers
from edgewright.deployments.board_scoring import Scoring
from edgewright.errors import ProtocolError
from edgewright.nouns.artifact import Artifact, Goldens, Manifest, Parity, Source, TensorSpec
from edgewright.nouns.outcome import Check
from edgewright.precisions import PRECISIONS
from edgewright.wire import commands
from edgewright.wire.answers import Evaluated, Result
from edgewright.wire.commands import RunOptions

X = TensorSpec(name="x", shape=(1, 3), dtype="float32")
Y = TensorSpec(name="y", shape=(1, 6), dtype="float32")
SPEC = {"name": "y", "shape": [1, 6], "dtype": "int8", "scale": 0.5, "zero_point": 3}


class Board:
    """A session with a board that sends what the test chooses."""

    def __init__(self, data: bytes, **changes: Any) -> None:
        result = {"result": "1-answers", "sha256": "0" * 64, "size": len(data)}
        self.data = data
        self.answer: dict[str, Any] = {
            "keep": "first",
            "n": 4,
            "outputs": [SPEC],
            "answers": result,
            **changes,
        }

    def call(self, command: commands.Evaluate) -> Evaluated:
        assert command.evaluation == "e" * 64
        return command.read(self.answer)

    def get_file(self, result: Result, *, most: int) -> io.BytesIO:
        check_size(cast(Session, SimpleNamespace(board=SimpleNamespace(name="b"))), result, most)
        return io.BytesIO(self.data)


@pytest.fixture
def scoring(tmp_path: Path) -> Any:
    def made(metric: str) -> Scoring:
        np.savez(tmp_path / "e.npz", x=np.zeros((4, 3), np.float32), labels=np.arange(4))
        given = evaluation_set.prepare(tmp_path / "e.npz", [X])
        return Scoring(metrics.load(metric), given, given.load_labels(), [Y])

    return made


def packed(*arrays: np.ndarray, save: Any = np.savez) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **{f"output_{index}": array for index, array in enumerate(arrays)})
    return buffer.getvalue()


def promising(shape: tuple[int, ...], values: bytes) -> bytes:
    """An archive whose header claims any shape."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("output_0.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "|i1", "fortran_order": False, "shape": shape})
        member.write(values)
    return buffer.getvalue()


def headed(text: str) -> bytes:
    """An archive whose member is only a header."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
        archive.writestr("output_0.npy", head)
    return buffer.getvalue()


def answers(scoring: Scoring, board: Board) -> Any:
    return scoring.answers(board, "m", "1-aaaaaaaa", "e" * 64, RunOptions())  # type: ignore[arg-type]


def test_integers_come_back_as_real_values(scoring: Any) -> None:
    values = np.arange(24, dtype=np.int8).reshape(4, 1, 6)
    found = answers(scoring("f1"), Board(packed(values)))
    assert np.array_equal(found.arrays[0], (values.astype(float) - 3) / 2)
    ranked = answers(scoring("top1"), Board(np.arange(20, dtype="<i4").tobytes()))
    assert ranked.arrays[0].tolist() == np.arange(20).reshape(4, 5).tolist()


@pytest.mark.parametrize(
    ("metric", "board"),
    [
        ("top1", Board(b"\0" * 79)),
        ("top1", Board(b"\0" * 100)),
        ("top1", Board(b"\0" * 80, n=5)),
        ("top1", Board(b"\0" * 80, n="4")),
        ("top1", Board(b"\0" * 80, answers={})),
        ("f1", Board(b"not an archive")),
        ("f1", Board(packed())),
        ("f1", Board(packed(np.zeros((3, 1, 6), np.int8)))),
        ("f1", Board(packed(np.zeros((4, 1, 6), np.int8), save=np.savez_compressed))),
        ("f1", Board(packed(np.array([{}] * 4)))),
        ("f1", Board(packed(np.zeros((4, 1, 6), np.int8))[:-30])),
        ("f1", Board(packed(np.zeros((4, 1, 6), np.int8)), outputs=[])),
        ("f1", Board(packed(np.zeros((4, 1, 6), np.int8)), outputs=[{**SPEC, "scale": "x"}])),
        ("f1", Board(packed(np.zeros((4, 1, 6), np.int8)), outputs=[{**SPEC, "zero_point": []}])),
        ("f1", Board(packed(np.zeros((4, 1, 6), np.int8)), outputs=[{"scale": 2.0}])),
        ("f1", Board(packed(np.zeros((4, 1, 6), np.int8)), outputs=["y"])),
        ("f1", Board(packed(np.zeros((4, 6), np.int8)))),
        ("f1", Board(packed(np.zeros((4, 1, 6), np.float32)))),
        ("f1", Board(packed(np.zeros((4, 1, 6), "U1")), outputs=[{**SPEC, "dtype": "str32"}])),
        ("f1", Board(promising((4, 1, 6), b"\0" * 23))),
        ("f1", Board(headed("{'descr': ("))),
        ("f1", Board(headed("(" * 9000))),
        ("f1", Board(headed("-" * 9000 + "1"))),
        ("f1", Board(headed("  1\n 2"))),
        ("f1", Board(promising((1 << 50, 1, 6), b"\0" * 24))),
        ("f1", Board(promising((4, 1 << 50), b"\0" * 24), outputs=[{**SPEC, "shape": [1 << 50]}])),
        ("f1", Board(promising((-4, -1, 6), b"\0" * 24))),
        ("f1", Board(promising((1 << 80, 0), b""), outputs=[{**SPEC, "shape": [0]}])),
    ],
)
def test_answers_that_are_not_what_was_asked_for(scoring: Any, metric: str, board: Board) -> None:
    with pytest.raises(ProtocolError):
        answers(scoring(metric), board)


def test_an_archive_of_nothing_but_zeros_does_not_fill_the_memory(scoring: Any) -> None:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("output_0.npy", "w") as member,
    ):
        np.lib.format.write_array_header_1_0(
            member, {"descr": "|i1", "fortran_order": False, "shape": (4, 1, 1 << 22)}
        )
        member.write(bytes(1 << 24))
    assert len(buffer.getvalue()) < 100_000
    with pytest.raises(ProtocolError, match="packed"):
        answers(scoring("f1"), Board(buffer.getvalue()))


def compared(folder: Path, data: bytes, size: int | None = None) -> Check:
    """The result of the user's function for a board's outputs for four goldens of ones, whose first value does not count."""
    ones = np.ones((4, 1, 6), np.float32)
    counts = np.ones(ones.shape, np.uint8)
    counts[:, 0, 0] = 0
    goldens.save(folder / "goldens.npz", [], [ones], [counts])
    spec = TensorSpec(name="y", shape=(1, 6), dtype="int8", scale=0.5, zero_point=3)
    manifest = Manifest(
        schema=2, target="tflite", precision="int8", entry="m", files=(), inputs=(), outputs=(spec,),
        source=Source(format="onnx", file="m", sha256=""),
        goldens=Goldens(file="goldens.npz", count=4, origin="calibration", framework="", tolerance=PRECISIONS["int8"].tolerance),
        parity=Parity(max_abs=0, max_relative=0, cosine=1, sqnr_db=200, top1_agreement=1, count=4),
    )  # fmt: skip

    def same(references: list[np.ndarray], answers: list[np.ndarray]) -> float:
        (ours,), (theirs,) = references, answers
        assert ours.dtype == theirs.dtype == np.float64 and ours.shape == theirs.shape == (4, 1, 6)
        assert np.isnan(ours[:, 0, 0]).all() and np.array_equal(np.isnan(ours), np.isnan(theirs))
        return float((ours == theirs)[:, 0, 1:].mean())

    own = Similarity("boxes.py:same", "", 0.9, same)
    result = Result(result="1-outputs", sha256="0" * 64, size=len(data) if size is None else size)
    artifact = Artifact(folder=folder, manifest=manifest)
    return board_answers.compared(Board(data), own, artifact, result)  # type: ignore[arg-type]


def test_a_board_s_goldens_are_compared_in_real_values(tmp_path: Path) -> None:
    right = np.full((4, 1, 6), 5, np.int8)
    right[:, 0, 0] = 77  # does not count
    assert compared(tmp_path, packed(right)) == Check(
        name="compare", ok=True, value=1.0, limit=0.9, note="boxes.py:same: 100 % the same, at least 90 %"
    )
    right[0, 0, 1:4] = 6
    found = compared(tmp_path, packed(right))
    assert (found.ok, found.value) == (False, 0.85)


ZEROS = np.zeros((4, 1, 6), np.int8)


@pytest.mark.parametrize(
    "data",
    [
        b"not an archive",
        packed(),
        packed(np.zeros((3, 1, 6), np.int8)),
        packed(np.zeros((5, 1, 6), np.int8)),
        packed(np.zeros((4, 6), np.int8)),
        packed(np.zeros((4, 1, 6), np.float32)),
        packed(np.array([{}] * 4)),
        packed(ZEROS, save=np.savez_compressed),
        packed(ZEROS)[:-30],
        packed(ZEROS).replace(b"\x2d\x00\x00\x00\x00\x00", b"\x2d\x00\x01\x00\x00\x00"),  # encrypted
        promising((4, 1, 6), b"\0" * 23),
        promising((1 << 50, 1, 6), b"\0" * 24),
        promising((-4, -1, 6), b"\0" * 24),
        headed("(" * 9000),
    ],
)
def test_goldens_that_are_not_what_the_manifest_says(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ProtocolError, match="answers to the goldens are not understood"):
        compared(tmp_path, data)


def test_goldens_that_are_too_large_are_not_fetched(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="a result of 1048601 bytes, at most 1048600"):
        compared(tmp_path, packed(ZEROS), size=24 + (1 << 20) + 1)
