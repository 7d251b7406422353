"""Rewrites a graph without what compilers get wrong or refuse: loops with a fixed count, and shapes computed while it runs.

Host side, in the `onnx` worker. IREE 3.13 compiles some Reshapes whose shape is computed by Shape, Gather and Concat to code that answers
wrongly, and no Loop at all; TensorFlow's exporter writes attention and recurrent layers that way.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright_targets._onnx.files import save
from edgewright_targets._onnx.fold_shapes import folded_if_possible
from edgewright_targets._onnx.unroll_loops import unroll

if TYPE_CHECKING:
    from onnx import ModelProto

    from edgewright.sdk import StageContext


@contextmanager
def static(work: StageContext) -> Iterator[ModelProto]:
    """The stage's model without them. While the block runs, `work.path` is a file with it."""
    import onnx

    model = onnx.load(str(work.path))
    unroll(model, work)
    model = folded_if_possible(model)
    before = work.path
    with tempfile.TemporaryDirectory(prefix="edgewright-") as folder:
        work.path = Path(folder) / "static.onnx"
        try:
            save(model, work.path)
            yield model
        finally:
            work.path = before
