"""Every cell of source format x target x precision, with a real small model: it works, answers as its source does and
holds weights of that precision, or it ends in the right error. What is right is pinned in `edges.toml`. Other kinds of
models take the direct way of each format.

Here no toolchain is installed: of the ways that call one, only that they say so is seen. That they convert is seen in
tests/tflite (onnx2tf) and tests/openvino (openvino-2021).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from flat_requests import compile_request

from edgewright import targets
from edgewright.compile import route_matrix
from edgewright.compile.explain import names_to_keep
from edgewright.compile.formats import FORMATS
from edgewright.compile.graph import operations
from edgewright.compile.pipeline import compile_model
from edgewright.compile.request import CompileRequest
from edgewright.compile.workers.pool import Workers
from edgewright.errors import EdgewrightError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.conversion import Conversion, Ends
from edgewright.precisions import PRECISIONS
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
EDGES = tomllib.loads(Path(__file__).with_name("edges.toml").read_text())
TOOLCHAINS = {target: kinds.split() for target, kinds in EDGES.pop("toolchains").items()}
# precision: the types in which some layers of the file compute, and those that other layers may use
COMPUTES = {
    "fp32": ({"fp32"}, set()),
    "fp16": ({"fp16"}, set()),
    "int8-dynamic": ({"int8 weights"}, set()),
    "int8": ({"int8"}, {"int8 weights"}),
    MIXED: ({"int8", "fp32"}, {"int8 weights"}),
    "int16x8": ({"int16x8"}, set()),
    "int8-weights": ({"int8 weights"}, set()),
    "int4-weights": ({"int4 weights"}, {"int8 weights", "fp32"}),  # not all kinds of layers have a 4-bit form
    "as-is": ({"fp32"}, set()),
}


class Cell(NamedTuple):
    """One conversion: `wanted` is the code of the expected error, empty if it has to succeed."""

    kind: str
    target: str
    precision: str
    wanted: str


def cell(kind: str, name: str, precision: str) -> Cell:
    """A cell with the result that the pinned table expects."""
    ways = EDGES[kind].get(name, "").split()
    if not ways:
        return Cell(kind, name, precision, "no-edge")
    if not any(precision in row.get(name, "").split() for row in EDGES.values()):
        return Cell(kind, name, precision, "precision-unknown")
    if precision not in ways:
        return Cell(kind, name, precision, "no-edge")
    return Cell(kind, name, precision, "toolchain-missing" if kind in TOOLCHAINS.get(name, ()) else "")


@pytest.fixture(scope="module")
def request_of(small_models):
    """`request_of(kind, model, target, precision, keep)`: a request for a small model."""

    def make(
        kind: str, model: str, target: str, precision: str, keep: tuple[str, ...] = ()
    ) -> CompileRequest:
        folder, _, file = FILES[kind].format(model).partition("/")
        inputs, outputs = ENDS[model] if kind == "frozen" else ((), ())
        shape = (1, 12, 14, 3) if kind in CHANNELS_LAST else (1, 3, 12, 14)
        return compile_request(
            source=Path(f"{small_models(folder)}/{file}"), target=target, precision=precision, goldens=8,
            calibration="synthetic", shapes={"image": shape} if model == "dynamic" else {},
            conversion=Conversion(ends=Ends(inputs=inputs, outputs=outputs), keep_float=keep),
        )  # fmt: skip

    return make


def check(artifact: Artifact, precision: str) -> None:
    """Checks that the manifest describes the artifact, and that its goldens would reveal a wrong one."""
    manifest = load(artifact.folder).manifest
    assert manifest.precision == precision
    assert manifest.parity.sqnr_db >= PRECISIONS[precision].tolerance.sqnr_db
    assert manifest.route and manifest.requires is not None
    with np.load(artifact.folder / manifest.goldens.file) as goldens:
        for place in range(len(manifest.outputs)):
            answers = goldens[f"output_{place}"]
            assert len(np.unique(answers, axis=0)) == len(answers), "goldens have one answer"


def computed(artifact: Artifact, workers: Workers) -> set[str]:
    """The types in which the layers of the file compute, from the types of its tensors."""
    target = targets.load(artifact.manifest.target)
    rows, _ = workers.call(
        target.framework, "edgewright.compile.explain", "read_the_artifact", module=targets.module_name(target.layers.module),
        path=artifact.folder / artifact.manifest.entry, run=False,
    )  # fmt: skip
    return {row.arithmetic.partition(",")[0] for row in rows if operations.is_layer(row)}


@pytest.mark.slow
@pytest.mark.sampled(7)
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
        found, (needed, allowed) = computed(artifact, workers), COMPUTES[precision]
        if not needed <= found <= needed | allowed:
            wrong.append(f"{precision}: its layers compute in {', '.join(sorted(found))}")
        if precision == "fp32" and MIXED in targets.load(name).precisions_from(kind):
            keep = names_to_keep(request, artifact, workers)[-1:]
        assert precision != MIXED or artifact.manifest.kept_float == keep
    assert wrong == []


def test_every_format_is_covered() -> None:
    assert set(FILES) == set(FORMATS) == set(EDGES)
    assert set(COMPUTES) == set(PRECISIONS)


def test_the_targets_have_the_ways_that_are_pinned() -> None:
    found = {kind: {} for kind in FILES}
    for one in route_matrix.cells():
        if one.precisions:
            found[one.source][one.target] = " ".join(one.precisions)
        assert bool(one.toolchains) == (one.source in TOOLCHAINS.get(one.target, ())), one
    assert found == EDGES


@pytest.mark.slow
@pytest.mark.sampled(4)
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
    if kind == "savedmodel":  # its signature is in alphabetical order
        names = tuple(sorted(names, reverse=True))
    assert names == ENDS[model][0] or len(names) == len(ENDS[model][0]) == 1
