"""The int8 model that a conversion for ONNX Runtime makes of a network: the same stages, with the same settings."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright import targets
from edgewright.compile.data.calibration import LIMIT
from edgewright.compile.sources import onnx as sources
from edgewright.compile.sources.onnx_normalization import OLDEST
from edgewright.compile.tasks.source import Order
from edgewright.compile.tasks.stage import StageContext
from edgewright.compress.frameworks import ONNX_TARGET
from edgewright.nouns.conversion import Ends
from edgewright.precisions import INT8

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def quantised(model: Any, samples: Sequence[Array]) -> Any:
    """The QDQ model, a ModelProto.

    Args:
        model: a ModelProto of floats, with static shapes and a batch of 1.
        samples: to calibrate with, one array per input, shape (n, *shape of one sample).

    Raises:
        ConversionError: nothing of it can be quantised.
    """
    import onnx

    target = targets.load(ONNX_TARGET)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "source.onnx"
        path.write_bytes(model.SerializeToString())
        source = sources.open_model(path, "onnx", {}, Ends())

        def stream(limit: int = LIMIT) -> Iterator[list[Array]]:
            rows = zip(*samples, strict=True)
            return ([array[None] for array in row] for row in islice(rows, limit))

        for index, (_, module) in enumerate(target.routes["onnx"].stages):
            order = Order(
                path=path, folder=Path(scratch) / f"stage{index}", entry=target.entry, precision=INT8.name, inputs=source.inputs,
                outputs=(), opset=OLDEST, count=len(samples[0]), float64=target.float64,
            )  # fmt: skip
            order.folder.mkdir()
            importlib.import_module(targets.module_name(module)).convert(StageContext(source, stream, order))
            path = order.folder / target.entry
        return onnx.load(str(path))
