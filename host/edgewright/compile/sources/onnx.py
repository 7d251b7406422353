"""Opens ONNX files. Runs in the `onnx` worker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.shapes import static_shapes
from edgewright.errors import ModelError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.conversion import Ends

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class OnnxModel:
    """A model with static shapes. `model` is its ModelProto; it runs unoptimised in ONNX Runtime."""

    def __init__(self, model: Any, inputs: Sequence[TensorSpec]) -> None:
        import onnxruntime

        self.model = model
        self.inputs = tuple(inputs)
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        settings.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        self.output_names = tuple(item.name for item in self._session.get_outputs())

    def run(self, sample: Sequence[Array]) -> list[Array]:
        """The outputs for one sample."""
        feed = {spec.name: array for spec, array in zip(self.inputs, sample, strict=True)}
        return list(self._session.run(list(self.output_names), feed))


def open_model(
    path: Path,
    kind: str,
    shapes: dict[str, tuple[int, ...]],
    ends: Ends,  # noqa: ARG001
) -> OnnxModel:
    """Opens an `onnx` source.

    Raises:
        ModelError: it does not load, or has dynamic axes beyond the batch.
    """
    import onnx

    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"{kind} model is not valid: {path.name}: {lines[0][:240].rstrip('.')}",
            hint="export it again",
            code="model-unreadable",
        ) from error
    specs = _fix_shapes(model, shapes)
    try:
        return OnnxModel(model, specs)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"ONNX Runtime cannot load {path.name}: {lines[0][:240].rstrip('.')}",
            hint="an operator or an opset is unknown to it, or --input-shape does not fit",
            code="model-unreadable",
        ) from error


def _fix_shapes(model: Any, shapes: dict[str, tuple[int, ...]]) -> list[TensorSpec]:
    """Makes the inputs' shapes static in place, forgets the inferred ones, and returns the inputs."""
    from onnx import helper

    weights = {item.name for item in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in weights]
    axes = {item.name: _axes(item.type.tensor_type) for item in inputs}
    fixed = static_shapes(axes, shapes)
    specs = []
    for item in inputs:
        kind = item.type.tensor_type.elem_type
        dtype = helper.tensor_dtype_to_np_dtype(kind).name
        specs.append(TensorSpec(name=item.name, shape=fixed[item.name], dtype=dtype))
        if axes[item.name] != list(fixed[item.name]):
            item.CopyFrom(helper.make_tensor_value_info(item.name, kind, fixed[item.name]))
            del model.graph.value_info[:]
            for output in model.graph.output:
                for axis in output.type.tensor_type.shape.dim:
                    axis.Clear()
    return specs


def _axes(kind: Any) -> list[int | None] | None:
    if not kind.HasField("shape"):
        return None
    return [axis.dim_value if axis.HasField("dim_value") else None for axis in kind.shape.dim]
