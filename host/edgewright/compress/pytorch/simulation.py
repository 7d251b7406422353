"""Simulates int8 inference of a PyTorch module: weights and tensors are rounded as its functions are called. See `Network.simulate`.

A tensor is rounded when a function reads it, not when it is made: only then is it known whether a converter fuses the function that reads it
with the one that made it. A first run, in floats, measures the ranges and counts the readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgewright.compress.pytorch.functions import Function, function_of, in_place

if TYPE_CHECKING:
    import numpy as np

    from edgewright.compress.pytorch.body import Body
    from edgewright.compress.pytorch.layer_outputs import LayerOutputs

    Array = np.ndarray[Any, Any]

_BATCH = 64
_MOST = 127  # of int8; -128 is not used by weights
_SMALLEST = 1e-9  # width of a range: a tensor may be zero everywhere
ROUNDED = "_edgewright_exact"  # attribute of rounded weights: the parameter
_STATE = "_edgewright_rounding"  # attribute of tensors that come from the network's inputs


@dataclass
class _Tensor:
    """What is known of a tensor.

    Attributes:
        number: of the range that it is rounded to; None: it has the levels of what it was made from.
        maker: the kind of function that made it.
        rounded: the result of rounding it, once something has read it.
    """

    number: int | None
    maker: Function
    rounded: Any = None


@dataclass
class _Range:
    """Of the tensor that a run makes at this place in their order; how many calls read it."""

    low: float = 0.0
    high: float = 0.0
    readers: int = 0

    def widen(self, tensor: Any) -> None:
        values = tensor.detach()
        if values.numel():
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))


class Simulation:
    """A network with the samples that ranges are measured with.

    Attributes:
        fresh: whether the ranges are those of the weights.
    """

    def __init__(self, body: Body, samples: Sequence[Array]) -> None:
        self.samples = [array.copy() for array in samples]
        self.fresh = False
        self._body = body
        self._ranges: list[_Range] = []
        self._exact = self._measuring = False

    def measure(self, *, probabilities: bool) -> None:
        """Measures the ranges of all tensors of the float network, if the weights have changed.

        Args:
            probabilities: while training, the first output is not rounded then: the loss takes its logarithm.
        """
        import torch

        self._exact = probabilities
        if self.fresh:
            return
        self._ranges, self._measuring = [], True
        tensors = self._body.tensors(self.samples)
        try:
            with torch.no_grad():
                for at in range(0, len(tensors[0]), _BATCH):
                    self._body.run([tensor[at : at + _BATCH] for tensor in tensors])
        finally:
            self._measuring = False
        self.fresh = True

    def run(self, *tensors: Any, inside: LayerOutputs) -> tuple[Any, ...]:
        """All outputs for a batch: what `Body.flat` does, rounded.

        Args:
            inside: notes what layers return; a tensor that is rounded only when it is read is noted before that.
        """
        import torch

        calls = _Calls(self._ranges, measuring=self._measuring)
        given = [calls.made(tensor.view_as(tensor), Function.OTHER) for tensor in tensors]
        with calls.mode(), inside.watched():
            outputs = tuple(self._body.flat(*given))
        exact = self._exact and torch.is_grad_enabled()  # a program has no training mode
        return tuple(
            output if exact and index == 0 else calls.read(output) for index, output in enumerate(outputs)
        )


class _Calls:
    """Follows the calls of one run."""

    def __init__(self, ranges: list[_Range], *, measuring: bool) -> None:
        self._ranges, self._measuring = ranges, measuring
        self._count = 0
        self._readers: dict[int, int] = {}

    def mode(self) -> Any:
        """The context in which calls are followed."""
        from torch.overrides import TorchFunctionMode

        called = self._called

        class Rounding(TorchFunctionMode):  # type: ignore[misc]
            def __torch_function__(
                self, function: Any, types: Any, args: Any = (), kwargs: Any = None
            ) -> Any:
                return called(function, args, kwargs or {})

        return Rounding()

    def made(self, tensor: Any, maker: Function) -> Any:
        """Marks a tensor that a call made; integers are not rounded."""
        number = None
        if tensor.is_floating_point():
            if self._measuring and self._count == len(self._ranges):
                self._ranges.append(_Range())
            number = self._count if self._count < len(self._ranges) else None
            self._count += 1
        setattr(tensor, _STATE, _Tensor(number, maker))
        return tensor

    def read(self, tensor: Any) -> Any:
        """A tensor as a call reads it: rounded."""
        state = getattr(tensor, _STATE, None)
        if state is None or state.number is None:
            return tensor
        found = self._ranges[state.number]
        if self._measuring:
            found.readers = self._readers[state.number] = self._readers.get(state.number, 0) + 1
            found.widen(tensor)
            return tensor
        if state.rounded is None:
            state.rounded = _rounded(tensor, found)
            setattr(state.rounded, _STATE, _Tensor(None, state.maker))
        return state.rounded

    def _called(self, function: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Calls a function with rounded tensors, and marks what it returns."""
        if not _followed((args, named)):
            return function(*args, **named)
        kind = function_of(function, args, named)
        if kind is Function.LOOKING:
            return self._viewed(function(*args, **named), args)
        first = args[0] if args else named.get("input")
        state = getattr(first, _STATE, None)
        whole = state is not None and (in_place(function, named) or self._fused(state, kind))
        rest, named = self._all_read(args[1:] if args else ()), self._all_read(named)
        if args:
            args = (args[0] if whole else self._all_read(args[0]), *rest)
        if kind.weighted and not self._measuring:
            args, named = _with_weight(kind, args, named)
        answer = function(*args, **named)
        for one in answer if isinstance(answer, (tuple, list)) else (answer,):
            self._mark(one, kind)
        return answer

    def _mark(self, answer: Any, kind: Function) -> None:
        import torch

        if not isinstance(answer, torch.Tensor):
            return
        if kind is Function.MOVING:
            setattr(answer, _STATE, _Tensor(None, kind))
        else:
            self.made(answer, kind)

    def _viewed(self, answer: Any, args: tuple[Any, ...]) -> Any:
        """What an attribute such as `x.T` returns: to be rounded as `x` is."""
        import torch

        state = getattr(args[0], _STATE, None) if args else None
        if state is not None and isinstance(answer, torch.Tensor) and not hasattr(answer, _STATE):
            setattr(answer, _STATE, _Tensor(state.number, Function.OTHER))
        return answer

    def _fused(self, state: _Tensor, kind: Function) -> bool:
        """Whether a converter fuses a call with the one that made its input, so that there is no tensor between them."""
        if self._measuring:  # then nobody knows yet how often it is read
            return False
        once = state.number is not None and self._ranges[state.number].readers <= 1
        return once and kind.fused_after(state.maker)

    def _all_read(self, value: Any) -> Any:
        import torch

        if isinstance(value, torch.Tensor):
            return self.read(value)
        if type(value) in (tuple, list):
            return type(value)(self._all_read(one) for one in value)
        if isinstance(value, dict):
            return {name: self._all_read(one) for name, one in value.items()}
        return value


def _with_weight(
    kind: Function, args: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a layer with rounded weights, unless these are computed from the network's inputs."""
    weight = args[1] if len(args) > 1 else named["weight"]
    if hasattr(weight, _STATE) or not weight.is_floating_point():
        return args, named
    made = _rounded_weight(weight, 1 if kind is Function.TRANSPOSED else 0)
    setattr(made, ROUNDED, weight)
    return ((args[0], made, *args[2:]), named) if len(args) > 1 else (args, {**named, "weight": made})


def _rounded_weight(weight: Any, axis: int) -> Any:
    """Weights with 255 levels per channel along an axis; gradients pass."""
    import torch

    exact = weight.float()
    others = [at for at in range(exact.ndim) if at != axis]
    scale = (exact.detach().abs().amax(others) / _MOST).clamp_min(_SMALLEST)
    zeros = torch.zeros(len(scale), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(exact, scale, zeros, axis, -_MOST, _MOST).to(weight.dtype)


def _rounded(tensor: Any, found: _Range) -> Any:
    """A tensor with 256 levels between two values, zero among the levels; gradients pass inside."""
    import torch

    scale = max(found.high - found.low, _SMALLEST) / 255
    zero = max(-128, min(127, round(-128 - found.low / scale)))
    return torch.fake_quantize_per_tensor_affine(tensor.float(), scale, zero, -128, 127).to(tensor.dtype)


def _followed(value: Any) -> bool:
    """Whether arguments hold a tensor that comes from the network's inputs."""
    if isinstance(value, (tuple, list)):
        return any(_followed(one) for one in value)
    if isinstance(value, dict):
        return any(_followed(one) for one in value.values())
    return hasattr(value, _STATE)
