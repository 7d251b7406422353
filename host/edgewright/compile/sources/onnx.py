"""Opens ONNX files. Runs in the `onnx` worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewright.compile.sources import float_types, nondeterminism, onnx_ends, onnx_layers, onnx_session
from edgewright.compile.sources.first_layers import Graph
from edgewright.compile.sources.onnx_normalization import STANDARD, normalised
from edgewright.compile.sources.shapes import static_shapes
from edgewright.compile.workers.framework_errors import telling
from edgewright.errors import Code, ModelError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.conversion import Ends

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

LARGE = 2**31 - 2**27  # bytes: any closer to 2 GiB, a protocol buffer cannot hold the weights too
SMALL = 2**16  # bytes; weights up to this size are always embedded: runtimes want to read shapes from them

# domains whose operators are built into ONNX Runtime's wheels
_KNOWN = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training", "com.microsoft",
          "com.microsoft.nchwc", "com.microsoft.experimental", "com.ms.internal.nhwc", "org.pytorch.aten")  # fmt: skip


class OnnxModel:
    """A model with static shapes, run unoptimised in ONNX Runtime.

    Attributes:
        path: its file.
        model: its ModelProto; includes the weights unless it is `large`.
        large: the weights stay in their files and are memory-mapped.
        changed: it differs from the file: in shapes, functions, opsets, or weights that were external.
        notes: assumptions, for the manifest.
        loose: outputs without a fixed shape in the model.
    """

    def __init__(
        self, path: Path, model: Any, inputs: Sequence[TensorSpec], *, large: bool, changed: bool
    ) -> None:
        import onnxruntime

        self.path, self.model, self.large, self.changed = path, model, large, changed
        self.inputs = tuple(inputs)
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        if large:
            settings.add_session_config_entry(
                "session.model_external_initializers_file_folder_path", str(path.parent)
            )
            settings.add_session_config_entry(
                "session.disable_prepacking", "1"
            )  # prepacked weights are copies
            settings.enable_cpu_mem_arena = False
        self._session = onnx_session.reference(model, settings)
        self.output_names = tuple(item.name for item in self._session.get_outputs())
        self.notes: tuple[str, ...] = ()
        self.loose = [item.name for item in self._session.get_outputs()
                      if not all(isinstance(axis, int) for axis in item.shape)]  # fmt: skip

    def narrowest(self) -> str:
        """The narrowest float type that the model computes in."""
        return float_types.narrowest(float_types.of_onnx(self.model))

    def run(self, sample: Sequence[Array]) -> list[Array]:
        """The outputs for one sample."""
        feed = {spec.name: array for spec, array in zip(self.inputs, sample, strict=True)}
        return list(self._session.run(list(self.output_names), feed))

    @property
    def kernels(self) -> tuple[str, ...]:
        """Names of kernels for `on`; none if that would hold the model in memory twice."""
        return () if self.large else ("optimised",)

    def on(self, kernels: str) -> _Optimised:  # noqa: ARG002
        """The same model as a board's session runs it: with integer arithmetic between DequantizeLinear and QuantizeLinear."""
        return _Optimised(self)

    def first_layers(self) -> tuple[Graph, tuple[str, ...]]:
        """The graph, and the inputs' names in it, for `compile.data.input_domains`."""
        return onnx_layers.read(self.model), tuple(spec.name for spec in self.inputs)

    def operators(self) -> list[str]:
        """Names of the model's operators, including those of inner graphs and functions."""
        graphs = [self.model.graph, *self.model.functions]
        return [node.op_type for graph in graphs for node in _nodes(graph.node)]


class _Optimised:
    """The model with the optimisations of a board's session."""

    def __init__(self, opened: OnnxModel) -> None:
        self._names = [spec.name for spec in opened.inputs]
        self._outputs = list(opened.output_names)
        self._session = onnx_session.session(opened.model.SerializeToString())

    def run(self, sample: Sequence[Array]) -> list[Array]:
        """The outputs for one sample."""
        return list(self._session.run(self._outputs, dict(zip(self._names, sample, strict=True))))


def open_model(
    path: Path,
    kind: str,
    shapes: dict[str, tuple[int, ...]],
    ends: Ends,  # noqa: ARG001
) -> OnnxModel:
    """Opens an `onnx` source.

    Raises:
        ModelError: it does not load, has custom operators, or dynamic axes beyond the batch.
    """
    import onnx

    try:
        model = onnx.load(str(path), load_external_data=False)
        large = _weights_bytes(path, model) > LARGE
        moved = _embed(model, path.parent, SMALL if large else None)
    except Exception as error:
        raise _invalid(path, kind, error) from error
    refuse_custom(model, path)
    model, other = normalised(model)
    onnx_ends.refuse_kinds(model, path)
    try:
        onnx.checker.check_model(
            str(path) if large else model
        )  # a path lets the checker find external weights
    except Exception as error:
        raise _invalid(path, kind, error) from error
    if found := _random_operators(model):
        raise nondeterminism.draws(path, found)
    before = [item.SerializeToString() for item in model.graph.input]
    specs, notes = _fix_shapes(model, shapes)
    changed = moved or other or before != [item.SerializeToString() for item in model.graph.input]
    try:
        opened = OnnxModel(path, model, specs, large=large, changed=changed)
    except Exception as error:
        raise ModelError(
            f"ONNX Runtime cannot load {path.name}: {telling(error)}",
            hint="an operator or an opset is unknown to it, or --input-shape does not fit",
            code=Code.MODEL_UNREADABLE,
        ) from error
    opened.notes = notes
    return opened


def refuse_custom(model: Any, path: Path) -> None:
    """Raises ModelError if operators come from a custom library: no reference outputs can be computed for them."""
    from onnx import defs

    # tools for TensorRT name its plug-ins without a domain
    standard = {(one.domain, one.name) for one in defs.get_all_schemas_with_history()}
    defined = {(function.domain, function.name) for function in model.functions}
    nodes = [*_nodes(model.graph.node), *(node for item in model.functions for node in _nodes(item.node))]
    custom = {
        f"{node.domain}{'.' if node.domain else ''}{node.op_type} ({node.name or next(filter(None, node.output), '')})": node
        for node in nodes
        if (node.domain, node.op_type) not in defined
        and (node.domain not in _KNOWN or (node.domain in STANDARD and ("", node.op_type) not in standard))
    }
    if custom:
        names = ", ".join(sorted(custom))
        raise ModelError(
            f"{path.name} has operators that the host cannot compute, so nothing verifies their outputs: {names}",
            hint="cut the model before them with onnx.utils.extract_model(..., check_model=False), or write them as functions of the model, from "
            "operators of ai.onnx",
            code=Code.CUSTOM_OPERATOR,
        )


def _random_operators(model: Any) -> list[str]:
    """Operators on the way to an output that draw random numbers, whatever the inputs are."""
    makers = {name: node for node in model.graph.node for name in node.output if name}
    true = {item.name for item in model.graph.initializer if item.data_type == item.BOOL and _is_true(item)}
    true |= {
        node.output[0]
        for node in model.graph.node
        if node.op_type == "Constant"
        and any(item.HasField("t") and _is_true(item.t) for item in node.attribute)
    }
    waiting, seen, found = [item.name for item in model.graph.output], set(), set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in makers:
            continue
        seen.add(name)
        node = makers[name]
        waiting += node.input
        if node.op_type == "Dropout":
            training = len(node.input) > 2 and node.input[2] in true
            found |= {"Dropout in training mode"} if training else set()
        else:
            found |= set(nondeterminism.random([node.op_type]))
    return sorted(found)


def _is_true(tensor: Any) -> bool:
    from onnx import numpy_helper

    return tensor.data_type == tensor.BOOL and bool(numpy_helper.to_array(tensor).all())


def _nodes(nodes: Any) -> Iterator[Any]:
    """The nodes, including those of inner graphs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            yield from _nodes(attribute.g.node)
            for graph in attribute.graphs:
                yield from _nodes(graph.node)


def _embed(model: Any, folder: Path, most: int | None) -> bool:
    """Embeds external weights of at most `most` bytes into the model; None embeds all. Returns whether there were any."""
    from onnx import external_data_helper as helper

    found = False
    for tensor in every_tensor(model):
        if not helper.uses_external_data(tensor):
            continue
        keys = {entry.key: entry.value for entry in tensor.external_data}
        size = int(keys.get("length") or (folder / keys["location"]).stat().st_size)
        if most is None or size <= most:
            helper.load_external_data_for_tensor(tensor, str(folder))
            tensor.data_location = tensor.DEFAULT
            del tensor.external_data[:]
            found = True
    return found


def every_tensor(model: Any) -> Iterator[Any]:
    """The weights and constants of a model: in its graph, in inner graphs and in node attributes."""
    pending = [model.graph, *model.functions]
    while pending:
        graph = pending.pop()
        yield from getattr(graph, "initializer", ())
        sparse = list(getattr(graph, "sparse_initializer", ()))
        for attribute in (item for node in graph.node for item in node.attribute):
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            sparse += [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            sparse += attribute.sparse_tensors
            pending += [attribute.g] if attribute.HasField("g") else []
            pending += attribute.graphs
        yield from (tensor for item in sparse for tensor in (item.values, item.indices))


def _weights_bytes(path: Path, model: Any) -> int:
    """Total bytes of the file and of its external weight files."""
    locations = {
        entry.value
        for tensor in every_tensor(model)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    files = [path, *(path.parent / location for location in locations)]
    return sum(file.stat().st_size for file in files)


def _invalid(path: Path, kind: str, error: Exception) -> ModelError:
    return ModelError(
        f"{kind} model is not valid: {path.name}: {telling(error)}",
        hint="export it again",
        code=Code.MODEL_UNREADABLE,
    )


def _fix_shapes(model: Any, shapes: dict[str, tuple[int, ...]]) -> tuple[list[TensorSpec], tuple[str, ...]]:
    """Makes the inputs' shapes static in place and drops inferred shapes; returns the inputs and the decisions made."""
    from onnx import helper

    inputs = onnx_ends.fed(model)
    axes = {item.name: onnx_ends.axes(item.type.tensor_type) for item in inputs}
    fixed, notes = static_shapes(axes, shapes, onnx_ends.time_first(model))
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
    return specs, notes
