"""Opens .tflite files. Runs in the `litert` worker."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from edgewright.compile.inspection import tflite_file
from edgewright.compile.sources import end_types, litert_layers, litert_signature
from edgewright.compile.sources.first_layers import Graph
from edgewright.compile.sources.names import given_shapes, unique
from edgewright.compile.sources.shapes import Axis, static_shapes
from edgewright.compile.workers.framework_errors import telling
from edgewright.errors import Code, ModelError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.conversion import Ends

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class LitertModel:
    """A model with static shapes, run without a delegate."""

    kernels = ("xnnpack", "reference")

    def __init__(self, path: Path, inputs: Sequence[TensorSpec], interpreter: Any, signature: str) -> None:
        self.path, self.interpreter, self.signature = path, interpreter, signature
        self.inputs = tuple(inputs)
        self._indexes = [detail["index"] for detail in interpreter.get_input_details()]
        for index, spec in zip(self._indexes, inputs, strict=True):
            interpreter.resize_tensor_input(index, list(spec.shape))
        interpreter.allocate_tensors()
        self._outputs = interpreter.get_output_details()
        self.output_names = tuple(_names(path, signature, "Outputs", self._outputs))
        self.notes: tuple[str, ...] = ()
        self.loose = [
            name
            for name, detail in zip(self.output_names, self._outputs, strict=True)
            if -1 in detail.get("shape_signature", ())
        ]

    def run(self, sample: Sequence[Array]) -> list[Array]:
        """The outputs for one sample."""
        for index, array in zip(self._indexes, sample, strict=True):
            self.interpreter.set_tensor(index, array)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(detail["index"]).copy() for detail in self._outputs]

    def on(self, kernels: str) -> LitertModel:
        """The same model on other kernels: LiteRT's plain kernels, or XNNPACK's, which boards use where possible."""
        from ai_edge_litert.interpreter import OpResolverType

        resolver = OpResolverType.BUILTIN_REF if kernels == "reference" else OpResolverType.BUILTIN
        return LitertModel(self.path, self.inputs, _interpreter(self.path, resolver, 2), self.signature)

    def first_layers(self) -> tuple[Graph, tuple[str, ...]]:
        """The graph, and the inputs' names in it, for `compile.data.input_domains`."""
        return litert_layers.read(self.interpreter), tuple(map(str, self._indexes))

    def operators(self) -> list[str]:
        """Names of the model's operators."""
        return [detail["op_name"] for detail in self.interpreter._get_ops_details()]


def open_model(
    path: Path,
    kind: str,
    shapes: dict[str, tuple[int, ...]],
    ends: Ends,
) -> LitertModel:
    """Opens a `tflite` source by its signature, if it has any.

    Raises:
        ModelError: it does not load, needs custom operators, has dynamic axes beyond the batch, or lacks the
            signature.
    """
    refuse_custom(path)
    name, subgraph, notes = litert_signature.chosen(path, ends.signature)
    if subgraph:
        path = litert_signature.narrowed(path, name, Path(tempfile.mkdtemp()))
    from ai_edge_litert.interpreter import OpResolverType

    try:
        interpreter = _interpreter(path, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, 1)
        details = interpreter.get_input_details()
        _refuse_text(path, details, interpreter.get_output_details())
        names = _names(path, name, "Inputs", details)
        axes = {key: _axes(detail) for key, detail in zip(names, details, strict=True)}
        fixed = static_shapes(axes, given_shapes(shapes, names, [detail["name"] for detail in details]))
        specs = [_spec(detail, key, fixed.shapes[key]) for key, detail in zip(names, details, strict=True)]
        opened = LitertModel(path, specs, interpreter, name)
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"LiteRT cannot load {path.name}: {telling(error)}",
            hint=f"the {kind} file is damaged, or needs operators that this runtime lacks",
            code=Code.MODEL_UNREADABLE,
        ) from error
    opened.notes = (*notes, *fixed.notes)
    return opened


def _refuse_text(path: Path, inputs: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]]) -> None:
    import numpy as np

    for role, details in (("input", inputs), ("output", outputs)):
        for detail in details:
            if np.dtype(detail["dtype"]).kind in "SUO":
                raise end_types.no_tensor(role, detail["name"], path, end_types.TEXT)


def _interpreter(path: Path, resolver: Any, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_path=str(path), num_threads=threads, experimental_op_resolver_type=resolver)


def refuse_custom(path: Path) -> None:
    """Raises ModelError, naming the operators, if the file needs some that no board's runtime has."""
    custom = tflite_file.look(path).custom
    if custom:
        flex = any(name.startswith("Flex") for name in custom)
        raise ModelError(
            f"{path.name} needs operators that LiteRT does not have: {', '.join(custom)}",
            hint="it was converted with SELECT_TF_OPS: convert it again without those layers"
            if flex
            else "convert it again without those layers",
            code=Code.CUSTOM_OPERATORS,
        )


def _axes(detail: dict[str, Any]) -> list[Axis]:
    return [int(axis) for axis in detail.get("shape_signature", detail["shape"])]


def _names(path: Path, signature: str, ends: str, details: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the tensors: the signature's, if it names all of them, else the tensors' own.

    Args:
        signature: of the first subgraph; empty for none.
        ends: `Inputs` or `Outputs`.
    """
    from ai_edge_litert import schema_py_generated as schema

    own = unique([str(detail["name"]) for detail in details])
    model = schema.Model.GetRootAsModel(path.read_bytes(), 0)
    known = (model.SignatureDefs(at) for at in range(model.SignatureDefsLength()))
    found = next((one for one in known if signature and _text(one.SignatureKey()) == signature), None)
    if found is None:
        return own
    entries = [getattr(found, ends)(at) for at in range(getattr(found, f"{ends}Length")())]
    by_index = {entry.TensorIndex(): _text(entry.Name()) for entry in entries}
    names = [by_index.get(detail["index"], "") for detail in details]
    return names if all(names) and len(set(names)) == len(names) else own


def _text(given: bytes | None) -> str:
    return (given or b"").decode("utf-8", "replace")


def _spec(detail: dict[str, Any], name: str, shape: tuple[int, ...]) -> TensorSpec:
    """The spec of an interpreter's tensor. Only per-tensor scales are recorded."""
    import numpy as np

    quantised = detail["quantization_parameters"]["scales"].size == 1
    return TensorSpec(
        name=name,
        tensor=UNSET if detail["name"] == name else detail["name"],
        shape=shape,
        dtype=np.dtype(detail["dtype"]).name,
        scale=float(detail["quantization"][0]) if quantised else None,
        zero_point=int(detail["quantization"][1]) if quantised else None,
    )
