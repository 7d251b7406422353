"""Finds convolutions and dense layers by the functions that run, in modules and in exported graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgewright.nouns.compression import WeightedLayer

if TYPE_CHECKING:
    from edgewright.compress.pytorch.body import Body

WRITTEN = "flat.inner."  # where `program_file.save` puts the module's own parameters
_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "convolution")
_TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_FUNCTIONS = (*_CONVOLUTIONS, *_TRANSPOSED, "linear")


@dataclass(frozen=True)
class Call:
    """One call of a convolution or dense layer: its tensors."""

    function: str
    given: Any
    weight: Any
    answer: Any

    @property
    def channel_axis(self) -> int:
        """The axis of the output's channels."""
        return -1 if self.function == "linear" else self.answer.ndim - self.weight.ndim + 1


@dataclass(frozen=True)
class Weights:
    """A layer's record and its parameter.

    Attributes:
        calls: how often the layer runs on one batch.
    """

    spec: WeightedLayer
    parameter: Any
    calls: int


def watch(visit: Callable[[Call], None]) -> Any:
    """A context that calls `visit` after each convolution and dense layer that runs."""
    from torch.overrides import TorchFunctionMode

    class Watch(TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            named = kwargs or {}
            answer = function(*args, **named)
            name = str(getattr(function, "_opname", getattr(function, "__name__", "")))
            if name in _FUNCTIONS:
                weight = args[1] if len(args) > 1 else named["weight"]
                if name == "convolution" and (args[6] if len(args) > 6 else named.get("transposed")):
                    name = "conv_transpose2d"
                visit(Call(name, args[0] if args else named["input"], weight, answer))
            return answer

    return Watch()


def names(body: Body) -> dict[int, str]:
    """id of a parameter -> the name of its layer. A program that compression wrote keeps the names of its module."""
    prefix = WRITTEN if body.program else ""
    return {
        id(tensor): name.removeprefix(prefix).removesuffix(".weight")
        for name, tensor in body.flat.inner.named_parameters()
    }


def find(body: Body) -> dict[str, Weights]:
    """Layer name -> weights, in the order in which they first run. Weights that two layers share are listed once."""
    import torch

    layers = names(body)
    found: dict[str, Weights] = {}

    def visit(call: Call) -> None:
        name = layers.get(id(call.weight), "")
        if not name or not call.weight.is_floating_point():
            return
        calls = found[name].calls if name in found else 0
        found[name] = Weights(_spec(name, call), call.weight, calls + 1)

    with torch.no_grad(), watch(visit):
        body.flat(*(tensor[:1] for tensor in body.example))
    return found


def _spec(name: str, call: Call) -> WeightedLayer:
    shape = tuple(call.weight.shape)
    if call.function == "linear":
        return WeightedLayer(name=name, kind="dense", shape=shape, outputs=0, inputs=1)
    axis = call.channel_axis
    taken, made = call.given.shape[axis], call.answer.shape[axis]
    transposed = call.function in _TRANSPOSED
    groups = made // shape[1] if transposed else taken // shape[1]
    if 1 < groups == taken:
        return WeightedLayer(name=name, kind="depthwise", shape=shape, outputs=0)
    outputs, inputs = (1, 0) if transposed else (0, 1)
    return WeightedLayer(name=name, kind="conv", shape=shape, outputs=outputs, inputs=inputs)
