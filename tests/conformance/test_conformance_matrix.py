"""Every cell of source format x target x precision, with a real small model: it works and answers as its source does,
or it ends in the error that the metadata promise. Other kinds of models take the direct way of each format.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from edgewright import targets
from edgewright.compile.explain import names_to_keep
from edgewright.compile.jobs import SOURCES
from edgewright.compile.request import CompileRequest
from edgewright.compile.run import compile_model
from edgewright.errors import EdgewrightError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion, Ends
from edgewright.nouns.precision import PRECISIONS
from edgewright.store.artifacts import load

FILES = {
    "keras": "keras/{}.keras",
    "h5": "keras/{}.h5",
    "savedmodel": "keras/{}_saved",
    "frozen": "frozen/{}.pb",
    "onnx": "onnx/{}.onnx",
    "tflite": "keras/{}.tflite",
    "pt2": "torch/{}.pt2",
    "pytorch": "torch/torch_models.py:{}",
    "ir": "ir/{}.xml",
}
ENDS = {
    "cnn": (("image",), ("classes",)),
    "two_in_two_out": (("right", "left"), ("total", "gap")),
    "tokens": (("tokens",), ("scores",)),
    "lstm": (("series",), ("scores",)),
    "gru": (("series",), ("scores",)),
    "attention": (("series",), ("scores",)),
    "dynamic": (("image",), ("scores",)),
}
DIRECT = {"tflite": "tflite", "keras": "tflite", "h5": "tflite", "savedmodel": "tflite", "frozen": "tflite",
          "ir": "openvino"}  # fmt: skip
CHANNELS_LAST = ("keras", "h5", "savedmodel", "frozen", "tflite")
MIXED = "int8-mixed"
# a layer to keep where int8 is made by way of ONNX, whose names are not those of the fp32 artifact
OWN_NAMES = {("frozen", "openvino"): "classes", ("pt2", "openvino"): "last", ("pytorch", "openvino"): "last"}


class Cell(NamedTuple):
    """One conversion: `wanted` is the code of the error that is right, empty where it has to work."""

    kind: str
    target: str
    precision: str
    wanted: str


def cell(kind: str, name: str, precision: str) -> Cell:
    """A cell and what has to come of it, by the target's own word."""
    target = targets.load(name)
    if kind not in target.sources:
        return Cell(kind, name, precision, "no-edge")
    if precision not in target.precisions:
        return Cell(kind, name, precision, "precision-unknown")
    if precision not in target.precisions_from(kind):
        return Cell(kind, name, precision, "no-edge")
    routes = target.as_is if precision == "as-is" else target.routes
    return Cell(kind, name, precision, "toolchain-missing" if routes[kind].toolchains else "")


@pytest.fixture(scope="module")
def request_of(small_models):
    """`request_of(kind, model, target, precision, keep)`: a request for a small model."""

    def make(
        kind: str, model: str, target: str, precision: str, keep: tuple[str, ...] = ()
    ) -> CompileRequest:
        folder, _, file = FILES[kind].format(model).partition("/")
        inputs, outputs = ENDS[model] if kind == "frozen" else ((), ())
        shape = (1, 12, 14, 3) if kind in CHANNELS_LAST else (1, 3, 12, 14)
        return CompileRequest(
            source=Path(f"{small_models(folder)}/{file}"), target=target, precision=precision, goldens=8,
            calibration="synthetic", inputs={"image": shape} if model == "dynamic" else {},
            conversion=Conversion(ends=Ends(inputs=inputs, outputs=outputs), keep_float=keep),
        )  # fmt: skip

    return make


def check(artifact: Artifact, precision: str) -> None:
    """The manifest says what was made, and its goldens could have shown a wrong one."""
    manifest = load(artifact.folder).manifest
    assert manifest.precision == precision
    assert manifest.parity.sqnr_db >= PRECISIONS[precision].tolerance.sqnr_db
    assert manifest.route and manifest.requires is not None
    with np.load(artifact.folder / manifest.goldens.file) as goldens:
        for place in range(len(manifest.outputs)):
            answers = goldens[f"output_{place}"]
            assert len(np.unique(answers, axis=0)) == len(answers), "goldens have one answer"


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(FILES))
@pytest.mark.parametrize("name", targets.names())
def test_every_precision_works_or_says_why_not(request_of, workers, name: str, kind: str) -> None:
    wrong, keep = [], ("any",)
    for precision in PRECISIONS:
        one = cell(kind, name, precision)
        request = request_of(kind, "cnn", name, precision, keep if precision == MIXED else ())
        try:
            artifact = compile_model(request, workers=workers)
        except EdgewrightError as error:
            if error.code != one.wanted:
                wrong.append(f"{precision}: {error.code}: {error.message}")
            elif "\n" in error.message or not error.hint:
                wrong.append(f"{precision}: not a line with a hint: {error.message!r}")
            continue
        if one.wanted:
            wrong.append(f"{precision}: it works, and {one.wanted} was expected")
            continue
        check(artifact, precision)
        if precision == "fp32" and MIXED in targets.load(name).precisions_from(kind):
            own = OWN_NAMES.get((kind, name))
            keep = (own,) if own else names_to_keep(request, artifact, workers)[-1:]
        assert precision != MIXED or artifact.manifest.kept_float == keep
    assert wrong == []


def test_every_format_is_covered() -> None:
    assert set(FILES) == set(SOURCES)
    assert (
        len(
            [
                one
                for kind in FILES
                for name in targets.names()
                for one in PRECISIONS
                if not cell(kind, name, one).wanted
            ]
        )
        > 150
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", [name for name in ENDS if name != "cnn"])
@pytest.mark.parametrize("kind", sorted(FILES))
def test_other_kinds_of_models_take_the_direct_way(request_of, workers, kind: str, model: str) -> None:
    """Several inputs and outputs, token ids, recurrent layers, attention, open axes."""
    if (kind, model) == ("tflite", "dynamic"):
        model = "cnn"  # a .tflite has no open axes
    target = DIRECT.get(kind, "onnxruntime")
    artifact = compile_model(
        request_of(kind, model, target, "as-is" if kind == "tflite" else "fp32"), workers=workers
    )
    check(artifact, artifact.manifest.precision)
    names = tuple(spec.name for spec in artifact.manifest.inputs)
    if kind == "savedmodel":  # its signature has the order of the alphabet
        names = tuple(sorted(names, reverse=True))
    assert names == ENDS[model][0] or len(names) == len(ENDS[model][0]) == 1
