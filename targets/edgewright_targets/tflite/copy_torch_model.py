"""Copies a PyTorch source into one that litert-torch converts correctly. Host side.

It changes float types other than float32, for which LiteRT lacks kernels, and transposed convolutions that LiteRT's own
operator would crop differently: litert-torch (0.10) refuses some of them and converts others wrongly. It supports none in
three dimensions.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import GraphModule, Node
    from torch.nn import Module


TRANSPOSED = {"conv_transpose1d": 1, "conv_transpose2d": 2, "conv_transpose3d": 3}
_GROUPED = ("conv3d",)


def copied(source: Any, *, again: bool = False) -> tuple[Module, tuple[Tensor, ...], list[str]]:
    """(a module that computes the same, its example inputs, notes); the source's own module if nothing has to change.

    Args:
        again: the source's own module was refused: its code may call operators that no layer shows.

    Raises:
        ConversionError: torch.export cannot follow the source's code.
    """
    import copy

    import torch

    from edgewright.sdk.tensorflow import float_types

    kinds = float_types.of_torch(source.module, [spec.dtype for spec in source.inputs])
    if not again and not kinds and not any(map(_convolves_back, source.module.modules())):
        return source.module, source.example, []
    module = copy.deepcopy(source.program.module())  # it shares the source's own tensors
    module._forward_pre_hooks.clear()  # hooks and guards require the original dtypes
    notes, example = [], source.example
    graphs = [one for one in module.modules() if isinstance(one, torch.fx.GraphModule)]
    for graph in graphs:
        _without_guards(graph)
    if kinds:
        for graph in graphs:
            _widen(graph)
        ends = [spec.name for spec in source.inputs if spec.dtype in kinds]
        example = tuple(one.float() if one.is_floating_point() else one for one in example)
        also = f", inputs too: {', '.join(ends)}" if ends else ""
        notes.append(f"{' and '.join(kinds)} became float32 before the conversion{also}")
    taken = [name for graph in graphs for name in _replace_convolutions(graph)]
    if taken:
        notes.append(f"taken apart into operators that LiteRT has: {', '.join(taken)}")
    return module, example, notes


def _convolves_back(module: Module) -> bool:
    import torch

    kinds = (torch.nn.modules.conv._ConvTransposeNd, torch.fx.GraphModule)
    return isinstance(module, kinds) or (isinstance(module, torch.nn.Conv3d) and module.groups > 1)


def _without_guards(graph: GraphModule) -> None:
    for node in list(graph.graph.nodes):
        checks = node.op == "call_module" and node.target == "_guards_fn"
        if checks or "_assert_tensor_metadata" in str(node.target):
            graph.graph.erase_node(node)
    graph.recompile()


def _widen(graph: GraphModule) -> None:
    """Turns every float type into float32, in place."""
    import torch

    graph.float()
    other = (torch.float16, torch.bfloat16, torch.float64)
    for node in graph.graph.nodes:
        node.args, node.kwargs = torch.utils._pytree.tree_map(
            lambda item: torch.float32 if isinstance(item, torch.dtype) and item in other else item,
            (node.args, node.kwargs),
        )
        held = getattr(graph, node.target, None) if node.op == "get_attr" and "." not in node.target else None
        if isinstance(held, torch.Tensor) and held.dtype in other:
            setattr(graph, node.target, held.float())
    graph.recompile()


def _replace_convolutions(graph: GraphModule) -> list[str]:
    """Replaces convolutions that LiteRT has no operator for, in place. Returns the names of their layers."""
    found = []
    for node in list(graph.graph.nodes):
        kind = str(node.target).split(".")[1] if str(node.target).startswith("aten.") else ""
        if kind in TRANSPOSED:
            given = dict(
                zip(
                    ("x", "w", "b", "stride", "padding", "more", "groups", "dilation"),
                    node.args,
                    strict=False,
                )
            )
            settings = _settings(given, TRANSPOSED[kind])
            if not _plain(given["w"], *settings):
                node.target = _transposed_convolution
                node.args = (given["x"], given["w"], given.get("b"), given.get("groups", 1), *settings)
                found.append(_layer(node))
        elif kind in _GROUPED and len(node.args) > 6 and node.args[6] > 1:
            node.target = _by_group
            found.append(_layer(node))
    graph.recompile()
    return found


def _settings(given: dict[str, Any], axes: int) -> tuple[list[int], list[int], list[int], list[int]]:
    """(stride, padding, output_padding, dilation), one number per axis each."""

    def each(name: str, usual: int) -> list[int]:
        value = given.get(name, usual)
        value = list(value) if isinstance(value, (list, tuple)) else [value]
        return value * axes if len(value) == 1 else value

    return each("stride", 1), each("padding", 0), each("more", 0), each("dilation", 1)


def _plain(weight: Node, stride: list[int], padding: list[int], more: list[int], dilation: list[int]) -> bool:
    """Whether litert-torch converts it correctly: no stride, no cropping, or the same cropping as LiteRT's own."""
    size = weight.meta["val"].shape[2:]
    if len(size) == 3:
        return False
    rows = zip(size, stride, padding, more, dilation, strict=True)
    return all(
        (s == 1 and m == 0) or (d == 1 and m == 0 and (p == 0 or 2 * p == k - s)) for k, s, p, m, d in rows
    )


def layers_of(source: Any, kinds: Collection[str]) -> list[str]:
    """Names of the layers that call one of some operators, such as `conv2d`; none if the source cannot be traced."""
    from edgewright.sdk import ConversionError

    try:
        nodes = list(source.program.graph.nodes)
    except ConversionError:
        return []
    return list(dict.fromkeys(_layer(node) for node in nodes if getattr(node.target, "_opname", "") in kinds))


def _layer(node: Node) -> str:
    """The layer's name in the module."""
    stack = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values() if path]
    name = stack[-1].removeprefix("L['self'].") if stack else ""
    return name.removeprefix("inner.") if name not in ("", "inner") else node.name


def _transposed_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    groups: int,
    stride: list[int],
    padding: list[int],
    more: list[int],
    dilation: list[int],
) -> Tensor:
    """A transposed convolution without cropping, cropped afterwards, plus the bias."""
    import torch

    kernel = _dilated(weight, dilation)
    if kernel.ndim == 5:
        full = _transposed_convolution_3d(x, kernel, groups, stride)
    else:
        full = (torch.conv_transpose1d, torch.conv_transpose2d)[kernel.ndim - 3](
            x, kernel, None, stride, groups=groups
        )
    for axis, (p, m) in enumerate(zip(padding, more, strict=True), 2):
        wanted = full.shape[axis] - 2 * p + m
        lacking = max(0, p + wanted - full.shape[axis])
        full = full.narrow(axis, p, wanted - lacking) if p or m else full
        if lacking:
            full = torch.nn.functional.pad(full, [0, 0] * (full.ndim - 1 - axis) + [0, lacking])
    return full if bias is None else full + bias.reshape(1, -1, *[1] * (full.ndim - 2))


def _dilated(kernel: Tensor, dilation: list[int]) -> Tensor:
    """The kernel with zeros between its values, in place of dilation."""
    for axis, step in enumerate(dilation, 2):
        kernel = _spread(kernel, axis, step)
    return kernel


def _spread(array: Tensor, axis: int, step: int) -> Tensor:
    """Inserts `step - 1` zeros between the values along an axis; by arrays of four axes, as LiteRT pads no more."""
    import math

    import torch

    if step == 1:
        return array
    shape = list(array.shape)
    rows = array.reshape(math.prod(shape[:axis]), shape[axis], 1, math.prod(shape[axis + 1 :]))
    rows = torch.nn.functional.pad(rows, [0, 0, 0, step - 1])
    shape[axis] *= step
    return rows.reshape(shape).narrow(axis, 0, shape[axis] - step + 1)


def _transposed_convolution_3d(x: Tensor, kernel: Tensor, groups: int, stride: list[int]) -> Tensor:
    """A 3D transposed convolution as a convolution of the input with zeros between its values."""
    import torch

    for axis, step in enumerate(stride, 2):
        x = _spread(x, axis, step)
    edges = [size - 1 for size in reversed(kernel.shape[2:]) for _ in (0, 1)]
    x = torch.nn.functional.pad(x, edges)
    kernel = kernel.flip(2, 3, 4)
    if groups == 1:
        return torch.conv3d(x, kernel.transpose(0, 1).contiguous())
    parts = zip(x.chunk(groups, 1), kernel.chunk(groups, 0), strict=True)
    return torch.cat([torch.conv3d(part, own.transpose(0, 1).contiguous()) for part, own in parts], 1)


def _by_group(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | list[int] = 1,
    padding: int | list[int] = 0,
    dilation: int | list[int] = 1,
    groups: int = 1,
) -> Tensor:
    """One convolution per group."""
    import torch

    biases = [None] * groups if bias is None else bias.chunk(groups)
    parts = zip(x.chunk(groups, 1), weight.chunk(groups, 0), biases, strict=True)
    return torch.cat([torch.conv3d(*part, stride, padding, dilation) for part in parts], 1)
