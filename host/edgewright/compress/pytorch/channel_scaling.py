"""Follows channels through the functions that a module calls, from the layers that make them to those that read them.

Each tensor has a shadow of its shape that holds a random label per channel. A function that scaling passes, such as ReLU, max pooling or
`flatten`, is called with the shadow too, so it shows by itself where each channel goes, and no rules about shapes are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edgewright.compress.channel_flow import JOINED, NOT_SCALED, ChannelFlow
from edgewright.compress.pytorch.body import Body
from edgewright.compress.pytorch.channel_labels import ChannelLabels
from edgewright.compress.pytorch.functions import Function, function_of, in_place, plain_name
from edgewright.compress.pytorch.norms import Norm, norm_of
from edgewright.compress.pytorch.weights import Weights

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# f(s x) = s f(x) for s > 0, or numbers are only moved
_SCALED = (
    "relu", "leaky_relu", "prelu", "mean", "cat", "concat", "concatenate", "upsample_bilinear2d", "interpolate",
    *(f"{kind}_pool{size}d" for kind in ("avg", "adaptive_avg") for size in (1, 2, 3)),
)  # fmt: skip


@dataclass
class _Tensor:
    """What is known of a tensor.

    Attributes:
        shadow: labels, float64, of its shape; 0 where no layer's channel is.
        maker: the layer whose output it is, until something else is made of it. axis: of its channels.
        readers: how many functions read it.
    """

    shadow: Any
    maker: str = ""
    axis: int = 0
    readers: int = 0


@dataclass
class Followed:
    """What was found.

    Attributes:
        taken: layer -> how many channels it reads.
        biases: layer -> its bias, if that is a parameter.
        norms: layer -> the batch normalisation that alone reads its output.
    """

    taken: dict[str, int] = field(default_factory=dict)
    biases: dict[str, Any] = field(default_factory=dict)
    flow: ChannelFlow = field(default_factory=ChannelFlow)
    norms: dict[str, Norm] = field(default_factory=dict)


def follow(body: Body, weights: Mapping[str, Weights]) -> Followed:
    """Follows the channels of one sample."""
    import torch

    run = _Run(body, weights)
    with torch.no_grad(), run.mode():
        outputs = body.flat(*body.samples(1))
    return run.finished(outputs)


class _Run:
    """One run of a module."""

    def __init__(self, body: Body, weights: Mapping[str, Weights]) -> None:
        self._found = Followed()
        self._weights = weights
        self._layers = {id(layer.parameter): name for name, layer in weights.items()}
        self._names = {id(one) for one in body.flat.inner.parameters()}
        self._states: dict[int, _Tensor] = {}
        self._kept: list[Any] = []  # tensors live on, so that no two have the same id
        self._labels = ChannelLabels()
        self._behind: dict[str, _Tensor] = {}  # layer -> its output, if a batch normalisation reads it

    def mode(self) -> Any:
        """The context in which calls are followed."""
        from torch.overrides import TorchFunctionMode

        called = self._called

        class Following(TorchFunctionMode):  # type: ignore[misc]
            def __torch_function__(
                self, function: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                return called(function, args, kwargs or {})

        return Following()

    def finished(self, outputs: Sequence[Any]) -> Followed:
        """What was found, with what only the end of the run shows."""
        for state in self._read(outputs, count=True):
            self._found.flow.end(self._labels.ids(state.shadow.numpy().reshape(-1)))
        for layer, state in self._behind.items():
            if state.readers > 1:
                del self._found.norms[layer]
                self._found.flow.leave(
                    layer, "not only the batch normalisation behind the layer reads its output"
                )
        return self._found

    def lock(self, value: Any, why: str) -> None:
        """The channels of a tensor cannot be scaled; a list or a dictionary stands for the tensors in it."""
        for state in self._read(value):
            self._found.flow.lock(self._labels.ids(state.shadow.numpy().reshape(-1)), why)

    def _called(self, function: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Calls a function and notes what becomes of channels."""
        import torch

        kind = function_of(function, args, named)
        given = self._read((args, named), count=kind is not Function.LOOKING)
        inputs = args[:1] or tuple(named.values())[:1]
        before = self._states.get(id(inputs[0])) if inputs else None
        shadows = self._shadows(function, kind, args, named) if given else None
        answer = function(*args, **named)
        if kind.weighted:
            self._layer(kind, args, named, before, answer, plain_name(function))
        elif kind is Function.NORM and before is not None and before.maker and before.axis == 1:
            self._norm(function, args, named, before, answer)
        elif shadows is not None:
            self._mark(answer, shadows)
        elif kind is not Function.LOOKING:
            why = NOT_SCALED if len(given) == 1 else JOINED
            self.lock((args, named), f"{plain_name(function)} {why}")
            if in_place(function, named) and inputs:
                self._states.pop(id(inputs[0]), None)
        elif isinstance(answer, torch.Tensor) and before is not None:
            self.lock(inputs[0], "the module looks at them")  # an attribute such as `x.T`
        return answer

    def _layer(
        self, kind: Function, args: Any, named: dict[str, Any], before: _Tensor | None, answer: Any, word: str
    ) -> None:
        """A convolution or dense layer reads channels and makes others."""
        import torch

        weight = args[1] if len(args) > 1 else named["weight"]
        bias = args[2] if len(args) > 2 else named.get("bias")
        given, layer = (args[0] if args else named["input"]), self._layers.get(id(weight), "")
        if not layer:
            self.lock((args, named), f"the weights of {word} are computed")
            return
        dense = self._weights[layer].spec.kind == "dense"
        axis = given.ndim - 1 if dense else given.ndim - weight.ndim + 1
        if before is not None:
            self._reads(layer, kind, before, given, axis)
        self._found.taken[layer], count = given.shape[axis], answer.shape[axis]
        if id(bias) in self._names:
            self._found.biases[layer] = bias
        if self._weights[layer].calls > 1:
            self._found.flow.leave(layer, "it runs more than once")
            return
        if not self._labels.room(count):
            self._found.flow.leave(layer, "the module has too many channels")
            return
        labels = self._labels.of(self._found.flow.made(layer, count))
        if bias is not None and layer not in self._found.biases:
            self._found.flow.leave(layer, "its bias is computed")
        column = [1] * answer.ndim
        column[axis] = -1
        shadow = torch.from_numpy(labels).reshape(column).expand(answer.shape).clone()
        self._state(answer, _Tensor(shadow, layer, axis))

    def _reads(self, layer: str, kind: Function, state: _Tensor, given: Any, axis: int) -> None:
        import numpy as np

        weights = self._weights[layer]
        rows = np.moveaxis(state.shadow.numpy(), axis, 0).reshape(given.shape[axis], -1)
        label = rows.max(1)
        ids = self._labels.ids(label)
        why = "runs more than once" if weights.calls > 1 else ""
        spec = weights.spec
        alone = kind is Function.TRANSPOSED if spec.inputs is None else spec.shape[spec.inputs] != len(ids)
        why = "is a grouped convolution" if alone else why
        if ((rows != label[:, None]) & (rows != 0)).any():
            why = "reads them along another axis"
        if why:
            self._found.flow.lock(self._labels.ids(rows.reshape(-1)), f"{layer} {why}")
        else:
            self._found.flow.read(layer, ids)

    def _norm(self, function: Any, args: Any, named: dict[str, Any], before: _Tensor, answer: Any) -> None:
        """A batch normalisation reads a layer's output."""
        norm = norm_of(function, args, named)
        if norm.mean is None:
            self._found.flow.leave(before.maker, "the batch normalisation behind it has no statistics")
            return
        if norm.gamma is None or id(norm.gamma) not in self._names:
            self._found.flow.leave(before.maker, "the batch normalisation behind it has no weights")
        self._found.norms[before.maker], self._behind[before.maker] = norm, before
        answer = answer[0] if isinstance(answer, (tuple, list)) else answer
        self._state(answer, _Tensor(before.shadow))

    def _shadows(self, function: Any, kind: Function, args: Any, named: dict[str, Any]) -> Any:
        """What a function that scaling passes makes of the shadows; None for another one, or if that shows nothing."""
        if kind is not Function.MOVING and plain_name(function) not in _SCALED:
            return None
        try:
            found = function(*self._shadowed(args), **self._shadowed(named))
        except (RuntimeError, TypeError):  # it cannot compute with float64
            return None
        every = found if isinstance(found, (tuple, list)) else (found,)
        for one in every:
            if one.is_floating_point() and not self._labels.only(one.numpy().reshape(-1)):
                return None
        return every

    def _shadowed(self, value: Any) -> Any:
        """Arguments with shadows for tensors."""
        import torch

        if isinstance(value, torch.Tensor):
            state = self._states.get(id(value))
            if state is not None:
                return state.shadow.clone()
            if not value.is_floating_point():
                return value
            exact = value.detach().double()
            return exact if id(value) in self._names else torch.zeros_like(exact)
        if type(value) in (tuple, list):
            return type(value)(self._shadowed(one) for one in value)
        if isinstance(value, dict):
            return {name: self._shadowed(one) for name, one in value.items()}
        return value

    def _mark(self, answer: Any, shadows: Sequence[Any]) -> None:
        import torch

        for one, shadow in zip(
            answer if isinstance(answer, (tuple, list)) else (answer,), shadows, strict=True
        ):
            if isinstance(one, torch.Tensor) and one.is_floating_point():
                self._state(one, _Tensor(shadow))

    def _state(self, tensor: Any, state: _Tensor) -> None:
        self._kept.append(tensor)
        self._states[id(tensor)] = state

    def _read(self, value: Any, *, count: bool = False) -> list[_Tensor]:
        """The states of the tensors in a value.

        Args:
            count: they are read once more.
        """
        if isinstance(value, dict):
            value = tuple(value.values())
        if isinstance(value, (tuple, list)):
            return [state for one in value for state in self._read(one, count=count)]
        state = self._states.get(id(value))
        if state is None:
            return []
        state.readers += count
        return [state]
