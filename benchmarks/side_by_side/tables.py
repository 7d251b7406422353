"""The tables that the benchmark fills: which models, targets and precisions, and where its results are kept."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from side_by_side.models import MODELS

HERE = Path(__file__).parent
AHEAD_OF_TIME = ("iree", "tvm")  # targets that compile for one CPU


class Table(NamedTuple):
    """One table.

    Attributes:
        targets: ratios are to the first one.
        results: the file of its rows.
    """

    models: tuple[str, ...]
    targets: tuple[str, ...]
    precisions: tuple[str, ...]
    results: Path


TABLES = {
    "targets": Table(
        models=tuple(MODELS)[:4],
        targets=("onnxruntime", "tflite", "ncnn"),
        precisions=("fp32", "fp16", "int8"),
        results=HERE / "results.jsonl",
    ),
    "ahead-of-time": Table(
        models=tuple(MODELS),
        targets=("onnxruntime", "tflite", "ncnn", *AHEAD_OF_TIME),
        precisions=("fp32", "int8"),
        results=HERE / "ahead_of_time.jsonl",
    ),
}
