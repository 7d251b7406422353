"""Creates ONNX Runtime sessions on the host, all in one place. Runs in the `onnx` worker.

Their results are the same on every CPU: 8-bit products are summed exactly, see `saturates` in the target's runner.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgewright import targets

_CPU = ["CPUExecutionProvider"]
_EXACT = {"exact": True}

# integer operators; between DequantizeLinear and QuantizeLinear, unoptimised sessions compute in floats
_INTEGERS = ("MatMulInteger", "ConvInteger", "DynamicQuantize", "QLinear", "QGemm", "QAttention")


def session(model: Path | bytes, settings: Any = None) -> Any:
    """An InferenceSession on this machine's CPU, optimised like a board's unless `settings` say otherwise."""
    import onnxruntime

    if settings is None:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
    given = model if isinstance(model, bytes) else str(model)
    return targets.runner("onnxruntime").opened(given, settings, _CPU, _EXACT)


def reference(model: Any, settings: Any) -> Any:
    """A session that runs a ModelProto unchanged, without optimisations.

    A model with integer operators is optimised after all if the CPU saturates: only optimised sessions compute it exactly.
    """
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    exactly = targets.runner("onnxruntime").saturates(_EXACT) and any(_integers(model.graph))
    settings.graph_optimization_level = levels.ORT_ENABLE_EXTENDED if exactly else levels.ORT_DISABLE_ALL
    return session(model.SerializeToString(), settings)


def _integers(graph: Any) -> Iterator[bool]:
    """Whether each node, including those of inner graphs, is an integer operator."""
    for node in graph.node:
        yield node.op_type.startswith(_INTEGERS)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _integers(inner)
