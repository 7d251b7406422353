"""Opens `torch.export` programs and PyTorch functions. Runs in the `torch` worker."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from edgewright.compile.inspection import archives
from edgewright.compile.sources import end_types, float_types, nondeterminism, torch_layers, torch_places
from edgewright.compile.sources.first_layers import Graph
from edgewright.compile.sources.names import given_shapes, unique
from edgewright.compile.sources.shapes import Axis, static_shapes
from edgewright.compile.sources.torch_function import EXAMPLE, call_function
from edgewright.compile.workers.framework_errors import BRANCHES, described, position
from edgewright.errors import Code, ConversionError, ModelError
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_DTYPES = ("float32", "float64", "float16", "bfloat16", "int8", "int16", "int32", "int64", "uint8", "bool")


class TorchModel:
    """A model with static shapes, in eval mode.

    Attributes:
        module: an `nn.Module` that takes one tensor per input, in order, and returns a tuple of tensors.
        output_names: keys of a dict or fields of a record, else `output_<i>`.
        notes: assumptions, for the manifest.
    """

    def __init__(self, module: Any, inputs: Sequence[TensorSpec], output_names: Sequence[str]) -> None:
        self.module = module
        self.inputs = tuple(inputs)
        self.output_names = tuple(output_names)
        self.notes: tuple[str, ...] = ()

    @property
    def example(self) -> tuple[Any, ...]:
        """Example inputs: a tensor of zeros per input."""
        import torch

        return tuple(torch.zeros(spec.shape, dtype=getattr(torch, spec.dtype)) for spec in self.inputs)

    @cached_property
    def program(self) -> Any:
        """The `torch.export.ExportedProgram` of `module`, with static shapes.

        Raises:
            ConversionError: torch.export cannot follow the module's code.
        """
        import torch

        try:
            with torch.no_grad():
                return torch.export.export(self.module, self.example)
        except Exception as error:
            raise ConversionError(
                f"torch.export cannot trace the module: {described(error)}{position(error)}",
                hint=BRANCHES,
                code=Code.CONVERSION_FAILED,
            ) from error

    def where(self, error: Exception) -> str:
        """The layer of the operator that an exporter's or converter's error names; empty if unknown."""
        said = f"{error} {error.__cause__ or ''}"
        try:
            return torch_places.place(self.program, said)
        except Exception:  # noqa: BLE001 - the fault of the module was reported, this only adds where
            return ""

    def run(self, sample: Sequence[Array]) -> list[Array]:
        """The outputs for one sample."""
        import numpy as np
        import torch

        with torch.no_grad():
            answers = self.module(*(torch.from_numpy(np.array(array)) for array in sample))
        return [np.array(answer.detach().numpy()) for answer in answers]

    def first_layers(self) -> tuple[Graph, tuple[str, ...]]:
        """The graph, and the inputs' names in it, for `compile.data.input_domains`."""
        return torch_layers.read(self.module, self.example)

    def narrowest(self) -> str:
        """The narrowest float type that the model computes in."""
        return float_types.narrowest(float_types.of_torch(self.module, [spec.dtype for spec in self.inputs]))

    def operators(self) -> list[str]:
        """Names of the model's operators; none if torch.export cannot follow its code."""
        try:
            nodes = list(self.program.graph.nodes)
        except ConversionError:
            return []
        return [_operator(node.target) for node in nodes if node.op == "call_function"]

    def buffers_that_change(self, sample: Sequence[Array]) -> list[str]:
        """Names of the module's buffers that a run changes."""
        import torch

        before = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        self.run(sample)
        after = self.module.state_dict()
        return sorted(
            name.removeprefix("inner.") for name in before if not torch.equal(before[name], after[name])
        )


def open_program(path: Path, shapes: dict[str, tuple[int, ...]]) -> TorchModel:
    """Opens a program exported by torch.export.

    Raises:
        ModelError: it does not load, has dynamic axes beyond the batch, or does not run.
    """
    import torch

    _refuse_strange(path)
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = (
        "1"  # otherwise a file may name code to run when it is opened
    )
    try:
        program = torch.export.load(str(path))
    except Exception as error:
        raise ModelError(
            f"PyTorch cannot load {path.name}: {described(error)}{position(error)}",
            hint=f"torch {torch.__version__} may not read what another version exported; export it again",
            code=Code.MODEL_UNREADABLE,
        ) from error
    finally:
        del os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"]
    _refuse_training(program, path)
    if kept := program.graph_signature.buffers_to_mutate:
        raise nondeterminism.stateful(path, sorted(kept.values()))
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    slots: list[Any] = []
    tensors: dict[str, Any] = {}
    for item in program.graph_signature.input_specs:
        if item.kind.name != "USER_INPUT":
            continue
        value = values.get(getattr(item.arg, "name", None), getattr(item.arg, "value", None))
        if isinstance(value, torch.Tensor):
            tensors[item.arg.name] = value
            slots.append(SLOT)
        elif isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
            raise ModelError(
                f"input is a number, not a tensor: {item.arg.name}", hint="export it as a tensor"
            )
        else:
            slots.append(value)
    names = unique(list(tensors))
    axes: dict[str, list[Axis]] = {
        name: [axis if isinstance(axis, int) else _symbol(axis) for axis in value.shape]
        for name, value in zip(names, tensors.values(), strict=True)
    }
    fixed, notes = static_shapes(axes, given_shapes(shapes, names))
    specs = [_spec(name, fixed[name], value) for name, value in zip(names, tensors.values(), strict=True)]

    def call(inner: Any, leaves: Sequence[Any]) -> Any:
        arguments, named = torch.utils._pytree.tree_unflatten(list(leaves), program.call_spec.in_spec)
        return inner(*arguments, **named)

    model = _flattened(program.module(), call, slots, specs, None)
    model.notes = (*model.notes, *notes)
    return model


def _symbol(axis: Any) -> str | None:
    """The name of a dynamic axis; empty for an axis computed from others."""
    return str(axis) if str(axis).isidentifier() else None


def _refuse_strange(path: Path) -> None:
    """Repeats the check of recognition with PyTorch's own zip reader, since zip readers differ."""
    import torch

    try:
        reader = torch._C.PyTorchFileReader(str(path))
        names = list(reader.get_all_records())
    except RuntimeError:  # a file of torch 2.7 or older: PyTorch then opens it the way we did
        return
    archives.refuse_strange(path, names, reader.get_record)


def open_function(path: Path, shapes: dict[str, tuple[int, ...]]) -> TorchModel:
    """Opens the result of a user function, which runs user code.

    Raises:
        ModelError: the function fails, or its module is in training mode, has dynamic axes beyond the batch, or does not run.
    """
    import torch

    made = call_function(path)
    inner = made.module.eval()
    example = (made.arguments, made.named)
    leaves, spec = torch.utils._pytree.tree_flatten_with_path(example)
    slots = [SLOT if isinstance(leaf, torch.Tensor) else leaf for _, leaf in leaves]
    tensors = [(keys, leaf) for keys, leaf in leaves if isinstance(leaf, torch.Tensor)]
    if not tensors:
        raise ModelError(
            f"example inputs hold no tensor: {path.name}", hint=EXAMPLE, code=Code.MODEL_UNREADABLE
        )
    names = made.input_names or _argument_names(inner, [keys for keys, _ in tensors])
    if len(names) != len(tensors):
        raise ModelError(f"{len(names)} names for {len(tensors)} inputs: {path.name}", hint=EXAMPLE)
    names = unique(names)
    shapes = given_shapes(shapes, names)
    axes: dict[str, list[Axis]] = {
        name: [None] * leaf.ndim if name in shapes else list(leaf.shape)
        for name, (_, leaf) in zip(names, tensors, strict=True)
    }
    fixed = static_shapes(axes, shapes).shapes
    specs = [_spec(name, fixed[name], leaf) for name, (_, leaf) in zip(names, tensors, strict=True)]

    def call(inner: Any, leaves: Sequence[Any]) -> Any:
        arguments, named = torch.utils._pytree.tree_unflatten(list(leaves), spec)
        return inner(*arguments, **named)

    return _flattened(inner, call, slots, specs, made.output_names)


SLOT = object()  # stands for a tensor among the leaves of the arguments; all other leaves are constants


def _flattened(
    inner: Any,
    call: Callable[[Any, Sequence[Any]], Any],
    slots: Sequence[Any],
    specs: Sequence[TensorSpec],
    output_names: Sequence[str] | None,
) -> TorchModel:
    """The model of a module that may take and return nested structures.

    Args:
        call: `call(module, leaves)`. The module is an argument, so that a copy of the model calls its own copy.
    """
    import torch

    # NumPy and boards have no bfloat16; its values are exact in float32
    kinds = [getattr(torch, spec.dtype) for spec in specs]
    specs = [replace(spec, dtype="float32") if spec.dtype == "bfloat16" else spec for spec in specs]

    class Flat(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *tensors: Any) -> tuple[Any, ...]:
            given = iter(
                tensor.to(kind) if kind == torch.bfloat16 else tensor
                for tensor, kind in zip(tensors, kinds, strict=True)
            )
            answer = call(self.inner, [next(given) if slot is SLOT else slot for slot in slots])
            leaves = torch.utils._pytree.tree_leaves(_fields(answer))
            found = (leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
            return tuple(leaf.float() if leaf.dtype == torch.bfloat16 else leaf for leaf in found)

    flat = Flat()
    if not isinstance(inner, torch.fx.GraphModule):
        flat.eval()
    model = TorchModel(flat, specs, ())
    given = iter(one.to(kind) for one, kind in zip(model.example, kinds, strict=True))
    try:
        with torch.no_grad():
            answer = call(inner, [next(given) if slot is SLOT else slot for slot in slots])
    except Exception as error:
        shapes = ", ".join(f"{spec.name} {spec.shape}" for spec in specs)
        raise ModelError(
            f"model does not run: {described(error)}{position(error)}",
            hint=f"it was given {shapes}; other sizes are given by --input-shape",
            code=Code.MODEL_UNREADABLE,
        ) from error
    found, _ = torch.utils._pytree.tree_flatten_with_path(_fields(answer))
    tensors = [(keys, leaf) for keys, leaf in found if isinstance(leaf, torch.Tensor)]
    names = list(output_names or [_path_name(keys, "output") for keys, _ in tensors])
    others = {_path_name(keys, "output"): type(leaf).__name__
              for keys, leaf in found if not isinstance(leaf, torch.Tensor)}  # fmt: skip
    if not tensors or len(names) != len(tensors):
        what = f" but {', '.join(dict.fromkeys(others.values()))}" if others and not tensors else ""
        raise ModelError(
            f"model returns {len(tensors)} tensors where {len(names) or 'some'} were expected{what}",
            hint="return tensors, in a tuple or a dict where there are several",
            code=Code.MODEL_UNREADABLE,
        )
    for name, (_, leaf) in zip(names, tensors, strict=True):
        if leaf.layout is not torch.strided or leaf.is_nested:
            kind = end_types.RAGGED if leaf.is_nested else end_types.SPARSE
            raise end_types.no_tensor("output", name, None, kind)
        _dtype(name, leaf)
    if others:
        listed = ", ".join(f"{name} ({kind})" for name, kind in others.items())
        model.notes = (f"left out, as they are not tensors: {listed}",)
    model.output_names = tuple(unique(names))
    return model


def _fields(answer: Any) -> Any:
    """The result with records turned into dicts, as PyTorch does not take those records apart."""
    import torch

    known = torch.utils._pytree.SUPPORTED_NODES
    if is_dataclass(answer) and not isinstance(answer, type) and type(answer) not in known:
        return {field.name: _fields(getattr(answer, field.name)) for field in fields(answer)}
    return answer


def _operator(target: Any) -> str:
    return str(getattr(target, "_opname", getattr(target, "__name__", target)))


_TRAINING = {"dropout": 2, "batch_norm": 5, "_native_batch_norm_legit_functional": 5, "native_dropout": 2}


def _refuse_training(program: Any, path: Path) -> None:
    """Raises ModelError for a program exported in training mode, where BatchNorm and Dropout behave differently."""
    for node in program.graph.nodes:
        name = getattr(node.target, "_opname", "")
        at = _TRAINING.get(name)
        if node.op == "call_function" and at is not None and len(node.args) > at and node.args[at] is True:
            raise ModelError(
                f"{path.name} was exported in training mode: {name}",
                hint="call module.eval() before torch.export.export",
                code=Code.MODEL_TRAINING,
            )


def _spec(name: str, shape: tuple[int, ...], tensor: Any) -> TensorSpec:
    return TensorSpec(name=name, shape=shape, dtype=_dtype(name, tensor))


def _dtype(name: str, tensor: Any) -> str:
    text = str(tensor.dtype).removeprefix("torch.")
    if text not in _DTYPES:
        raise ModelError(
            f"tensor {name} is of a dtype that no target takes: {text}",
            hint="convert the module and its inputs with .float()",
        )
    return text


def _argument_names(module: Any, paths: Sequence[Sequence[Any]]) -> list[str]:
    """The names of `forward`'s arguments; a nested value has its position or key appended."""
    parameters = list(inspect.signature(module.forward).parameters.values())
    positional = [item.name for item in parameters if item.kind is not item.VAR_POSITIONAL]
    names = []
    for keys in paths:
        in_named, key = keys[0].idx == 1, keys[1]
        index = getattr(key, "idx", None)
        known = not in_named and index is not None and index < len(positional)
        first = (
            positional[index] if known and index is not None else str(getattr(key, "key", f"input_{index}"))
        )
        names.append(_path_name(keys[2:], first))
    return names


def _path_name(keys: Sequence[Any], first: str) -> str:
    """The path of keys, prefixed by `first` unless it begins with a word: `output_1`, `scores`, `boxes_0`."""
    words = [str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in keys]
    named = first == "output" and bool(words) and not words[0].isdecimal()
    return "_".join(words if named else [first, *words])
