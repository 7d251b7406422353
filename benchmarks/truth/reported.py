"""Cases that people reported, from the scripts of `../shared/cases`. Weights and data are drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
import numpy as np

from truth.cases import SHARED, Absent, Builder, Case, split
from truth.decide import Decide

_COUNT = 600  # samples that are drawn
_SCRIPTS = SHARED / "cases"
Draw = Callable[[np.random.Generator], list[Any]]


def _pictures(*shape: int) -> Draw:
    """One colour for each picture, with noise: pictures of plain noise all look the same."""

    def draw(random: np.random.Generator) -> list[Any]:
        colour = random.random((_COUNT, *(1 if size > 3 else size for size in shape)))
        return [(0.4 * random.random((_COUNT, *shape)) + 0.6 * colour).astype(np.float32)]

    return draw


def _masked(random: np.random.Generator) -> list[Any]:
    lengths = random.integers(3, 13, (_COUNT, 1, 1))
    ids = random.integers(0, 100, (_COUNT, 1, 12))
    return [ids, (np.arange(12)[None, None] < lengths).astype(np.int64)]


def _tokens(random: np.random.Generator) -> list[Any]:
    return [random.integers(0, 100, (_COUNT, 1, 6)), random.integers(0, 2, (_COUNT, 1, 6))]


def _three(random: np.random.Generator) -> list[Any]:
    return [random.normal(size=(_COUNT, 1, 8)).astype(np.float32) for _ in range(3)]


def _case(script: str, file: str, draw: Draw, *decide: Decide) -> Builder:
    def build(folder: Path) -> Case:
        if not (_SCRIPTS / script).is_file():
            raise Absent("../shared/cases is not there")
        if not (folder / file).exists():
            measuring.process([sys.executable, "-W", "ignore", str(_SCRIPTS / script), str(folder)])
        data = split(draw(np.random.default_rng(5)))
        return Case(
            file.rpartition(".")[0], folder / file, decide=decide, trained=False, data="drawn", **data
        )

    return build


CASES: dict[str, Builder] = {
    "detection_head": _case("onnx_cases.py", "detection_head.onnx", _pictures(1, 3, 64, 64), Decide("map", first=4, axis=1), Decide("value", near=10.0)),  # boxes in pixels
    "class_map": _case("onnx_cases.py", "class_map.onnx", _pictures(1, 3, 24, 24), Decide("same")),
    "attention_minus_10000": _case("onnx_cases.py", "attention_minus_10000.onnx", _masked, Decide("map")),
    "token_types": _case("onnx_cases.py", "token_types.onnx", _tokens, Decide()),
    "three": _case("keras_cases.py", "three.keras", _three, Decide(), Decide(output=1), Decide(output=2)),
}  # fmt: skip
