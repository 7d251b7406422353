"""Opens OpenVINO IR: an `.xml` file and its `.bin`. Runs in the `openvino` worker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright import targets
from edgewright.compile.sources import end_types, openvino_layers
from edgewright.compile.sources.first_layers import Graph
from edgewright.compile.sources.shapes import Axis, static_shapes
from edgewright.compile.workers.framework_errors import telling
from edgewright.errors import Code, ModelError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.conversion import Ends

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# recent CPUs default to bf16; with a single thread, some int8 models give wrong results
_SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "2", "PERFORMANCE_HINT": "LATENCY"}
_EXACT = {"exact": True}
_IN_FLOATS = {"LP_TRANSFORMS_MODE": "NO"}  # compute FakeQuantize as written, without 8-bit kernels


class OpenvinoModel:
    """A model with static shapes. `model` is its ov.Model; it runs on the CPU in 32-bit floats."""

    kernels = ("floats",)

    def __init__(
        self, model: Any, inputs: Sequence[TensorSpec], settings: dict[str, str] = _SETTINGS
    ) -> None:
        import openvino as ov

        self.model = model
        self.inputs = tuple(inputs)
        self.output_names = tuple(_name(port, f"output_{i}") for i, port in enumerate(model.outputs))
        self.notes: tuple[str, ...] = ()
        self.loose = [
            name
            for name, port in zip(self.output_names, model.outputs, strict=True)
            if port.get_partial_shape().is_dynamic
        ]
        exactly = targets.runner("openvino").exactly(_EXACT)
        self._request = ov.Core().compile_model(model, "CPU", settings | exactly).create_infer_request()

    def run(self, sample: Sequence[Array]) -> list[Array]:
        """The outputs for one sample."""
        results = self._request.infer(list(sample))
        return [results[index].copy() for index in range(len(self.output_names))]

    def on(self, kernels: str) -> OpenvinoModel:  # noqa: ARG002
        """The same model without 8-bit kernels."""
        return OpenvinoModel(self.model, self.inputs, _SETTINGS | _IN_FLOATS)

    def first_layers(self) -> tuple[Graph, tuple[str, ...]]:
        """The graph, and the inputs' names in it, for `compile.data.input_domains`."""
        return openvino_layers.read(self.model)

    def operators(self) -> list[str]:
        """Names of the model's operators."""
        return [operator.get_type_name() for operator in self.model.get_ops()]


def open_model(
    path: Path,
    kind: str,
    shapes: dict[str, tuple[int, ...]],
    ends: Ends,  # noqa: ARG001
) -> OpenvinoModel:
    """Opens an `ir` source.

    Raises:
        ModelError: it does not load, or has dynamic axes beyond the batch.
    """
    import openvino as ov

    try:
        model = ov.Core().read_model(str(path))
    except Exception as error:
        raise _unreadable(path, kind, error) from error
    named = {_name(port, f"input_{index}"): port for index, port in enumerate(model.inputs)}
    _refuse_text(model, path)
    fixed = static_shapes({name: _axes(port.get_partial_shape()) for name, port in named.items()}, shapes)
    specs = [
        TensorSpec(name=name, shape=fixed.shapes[name], dtype=port.get_element_type().to_dtype().name)
        for name, port in named.items()
    ]
    try:
        model.reshape({port: list(fixed.shapes[name]) for name, port in named.items()})
        opened = OpenvinoModel(model, specs)
    except Exception as error:
        raise _unreadable(path, kind, error) from error
    opened.notes = fixed.notes
    return opened


def _refuse_text(model: Any, path: Path) -> None:
    for role, ports in (("input", model.inputs), ("output", model.outputs)):
        for index, port in enumerate(ports):
            if port.get_element_type().get_type_name() == "string":
                raise end_types.no_tensor(role, _name(port, f"{role}_{index}"), path, end_types.TEXT)


def _unreadable(path: Path, kind: str, error: Exception) -> ModelError:
    return ModelError(
        f"OpenVINO cannot load {path.name}: {telling(error)}",
        hint=f"the {kind} files are damaged, or of a version that this OpenVINO does not read",
        code=Code.MODEL_UNREADABLE,
    )


def _name(port: Any, otherwise: str) -> str:
    return min(port.get_names(), default=otherwise)


def _axes(shape: Any) -> list[Axis] | None:
    if shape.rank.is_dynamic:
        return None
    return [axis.get_length() if axis.is_static else None for axis in shape]
