"""The answers of a worker that a model took over: they hold plain values, and nothing that runs code."""

from __future__ import annotations

import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewright.compile.data import evaluation_set
from edgewright.compile.sources.source_format import Look
from edgewright.compile.workers import plain_answers, plain_arrays
from edgewright.compile.workers.messages import MOST_OF_AN_ANSWER, receive
from edgewright.compile.workers.pool import Workers
from edgewright.errors import Code, ConversionError, EdgewrightError
from edgewright.nouns.artifact import TensorSpec


class Acts:
    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


SETS_CLASS = (
    b"cedgewright.compile.sources.source_format\nLook\n(N}X\x04\x00\x00\x00codeX\x01\x00\x00\x00xstb."
)


STRANGE = {
    "runs": pickle.dumps(Acts(os.system, ("true",))),
    "evaluates": pickle.dumps(Acts(eval, ("1",))),
    "opens": pickle.dumps(Acts(io.open, ("/etc/passwd",))),
    "calls ours": pickle.dumps(Acts(evaluation_set.prepare, (Path("x"), ()))),
    "sets an attribute of a class": SETS_CLASS,
    "names a module": pickle.dumps(Acts(__import__, ("os",))),
    "an array over a pointer": pickle.dumps(Acts(np.ndarray, ((1,), np.dtype("O"), b"A" * 8))),
    "a plain array over a pointer": pickle.dumps(Acts(plain_arrays.array, ("|O", (1,), b"A" * 8))),
    "a dtype of objects": pickle.dumps(Acts(plain_arrays.dtype, ("|O",))),
    "an empty array of objects": pickle.dumps(Acts(plain_arrays.array, ("|O", (0,), b""))),
    "an array of pairs with objects": pickle.dumps(Acts(plain_arrays.array, ("<f8,O", (0,), b""))),
    "an array of gigabytes in no bytes": pickle.dumps(Acts(plain_arrays.array, ("|S0", (2**32,), b""))),
    "an array beyond its bytes": pickle.dumps(Acts(plain_arrays.array, ("<f8", (2,), b"A" * 8))),
    "fields of objects": pickle.dumps(
        Acts(np.dtype, ("V8", False, True), (3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0))
    ),
    "fields of a plain dtype": pickle.dumps(
        Acts(plain_arrays.dtype, ("<f8",), (3, "|", None, ("a",), {"a": ("<f8", 0)}, 8, 1, 0))
    ),
    "no pickle": b"hello",
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_worker_that_was_taken_over_cannot_act_by_its_answers(name: str) -> None:
    with pytest.raises(plain_answers.StrangeAnswer):
        plain_answers.read(STRANGE[name])
    assert not hasattr(Look, "code")


def test_answers_are_records_arrays_and_errors() -> None:
    error = ConversionError("x", hint="y", code=Code.PARITY)
    spec = TensorSpec(name="a", shape=(1, 2), dtype="float32")
    value = {
        "a": [spec, (1, 2.5, None, b"x", {3})],
        "p": Path("p"),
        "n": np.float32(2),
        "s": np.str_(""),
        "d": np.dtype("int8"),
    }
    assert plain_answers.read(plain_answers.written(value)) == value
    arrays = (
        np.arange(6, dtype=">i4").reshape(2, 3)[:, ::2],
        np.float16([1]),
        np.zeros((0, 2), bool),
        np.array(["ab", "c"]),
    )
    for array in arrays:
        found = plain_answers.read(plain_answers.written(array))
        assert np.array_equal(found, array) and found.dtype == array.dtype and found.flags.writeable
    told = plain_answers.read(plain_answers.written(error))
    assert (told.message, told.hint, told.code) == ("x", "y", Code.PARITY)


def test_an_answer_that_acts_ends_the_worker(tmp_path: Path) -> None:
    with Workers(tmp_path / "log") as workers:
        pid = workers.call("onnx", "os", "getpid")
        with pytest.raises(
            ConversionError, match=r"onnx worker gave no answer to getLogger: logging\.getLogger"
        ):
            workers.call("onnx", "logging", "getLogger")
        assert workers.call("onnx", "os", "getpid") != pid


LIES = {
    "raises what is no error": ("error", "x"),
    "raises an error that cannot be shown": ("error", EdgewrightError("x", hint=1)),  # type: ignore[arg-type]
    "has no state": ("else", "x"),
}


@pytest.mark.parametrize("name", LIES)
def test_an_answer_that_is_no_answer_is_reported_as_none(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workers(tmp_path / "log") as workers:
        workers.call("x", "os", "getpid")
        monkeypatch.setattr(plain_answers, "read", lambda _: LIES[name])
        with pytest.raises(ConversionError, match="x worker gave no answer to getpid"):
            workers.call("x", "os", "getpid")


def test_an_answer_has_a_limit() -> None:
    class Pipe(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None and size <= 8, "memory for an answer that is too long"
            return super().read(size)

    with pytest.raises(ValueError, match="536870913 bytes"):
        receive(Pipe(struct.pack("<Q", MOST_OF_AN_ANSWER + 1)), plain_answers.read, MOST_OF_AN_ANSWER)
