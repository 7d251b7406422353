"""The first layers of a PyTorch module, traced from one run, for `compile.data.input_domains`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.compile.sources.first_layers import SMALL, Graph, Step

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_KINDS = {
    "_to_copy": "same", "clone": "same", "detach": "same", "alias": "same", "contiguous": "same", "lift_fresh": "same",
    "view": "moved", "_unsafe_view": "moved", "reshape": "moved", "unsqueeze": "moved", "squeeze": "moved", "permute": "moved",
    "transpose": "moved", "t": "moved", "expand": "moved", "slice": "moved", "select": "moved", "repeat": "moved", "cat": "moved",
    "constant_pad_nd": "moved", "split": "moved", "unbind": "moved",
    "mul": "mul", "add": "add", "sub": "sub", "div": "div", "clamp": "max", "clamp_min": "max", "maximum": "max", "minimum": "min", "sqrt": "sqrt",
    "eq": "equal", "ne": "equal", "gt": "order", "ge": "order", "lt": "order", "le": "order",
    "logical_not": "truth", "logical_and": "truth", "logical_or": "truth", "bitwise_not": "truth", "bitwise_and": "truth",
    "where": "select", "sum": "sum", "cumsum": "sum", "amax": "sum", "any": "sum", "all": "sum", "aminmax": "shape", "_assert_tensor_metadata": "shape",
    "zeros_like": "shape", "ones_like": "shape", "full_like": "shape", "empty_like": "shape",
}  # fmt: skip
_CALCULATES = ("mul", "add", "sub", "div", "equal", "order")
_MAX_CALLS = 4096  # calls: later ones are no longer first layers


def read(module: Any, example: tuple[Any, ...]) -> tuple[Graph, tuple[str, ...]]:
    """(the graph, names of the inputs) of a module, run on its example: zeros, which are valid indexes for any table."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    calls, example = _Calls(), tuple(one.clone() for one in example)  # the module may change them in place
    names = tuple(calls.given(one) for one in example)

    class Watching(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = function(*args, **(kwargs or {}))
            calls.see(function, args, made)
            return made

    with torch.no_grad(), Watching():
        module(*example)
    return Graph(calls.steps, calls.value, names), names


class _Calls:
    """The steps of the traced calls. A tensor's name is a number, and it gets a new one when it is changed in place.

    Only small constants are kept: all activations of a run together may not fit in memory.
    """

    def __init__(self) -> None:
        from torch.utils.weak import WeakTensorKeyDictionary

        self.steps: list[Step] = []
        self._count = 0
        self._names: Any = WeakTensorKeyDictionary()
        self._constants: dict[str, Any] = {}
        self._numbers: dict[str, float] = {}

    def given(self, tensor: Any) -> str:
        """The name of a tensor that comes from an input or a call, so is not a constant."""
        self._count += 1
        self._names[tensor] = str(self._count)
        return str(self._count)

    def name(self, tensor: Any) -> str:
        found = self._names.get(tensor)
        if found is None:
            found = self.given(tensor)
            if tensor.numel() <= SMALL:
                self._constants[found] = tensor
        return str(found)

    def value(self, name: str) -> Array | None:
        import numpy as np

        if name in self._numbers:
            return np.asarray(self._numbers[name])
        tensor = self._constants.get(name)
        return None if tensor is None else tensor.detach().float().numpy()

    def see(self, function: Any, args: Any, made: Any) -> None:
        import torch

        if len(self.steps) >= _MAX_CALLS:
            return
        called = str(function).split(".")[1].removesuffix("_")
        outputs = [one for one in torch.utils._pytree.tree_leaves(made) if isinstance(one, torch.Tensor)]
        inputs = self._operands(args)
        for output in outputs:
            if not any(one.isdecimal() for one in inputs):  # only numbers as inputs: a constant
                self.name(output)
                continue
            self._constants.pop(self._names.get(output), None)  # changed in place
            name = self.given(output)
            self.steps += self._steps(called, args, inputs, output, name)

    def _operands(self, args: Any) -> tuple[str, ...]:
        import torch

        names = []
        for one in torch.utils._pytree.tree_leaves(args):
            if isinstance(one, torch.Tensor):
                names.append(self.name(one))
            elif isinstance(one, int | float) and not isinstance(one, bool):
                names.append(f"number {one!r}")
                self._numbers[names[-1]] = float(one)
        return tuple(names)

    def _steps(self, called: str, args: Any, inputs: tuple[str, ...], output: Any, name: str) -> list[Step]:
        import torch

        tensors = tuple(one for one in inputs if one.isdecimal())
        if called in ("embedding", "index_select", "gather"):
            axis = 0 if called == "embedding" else args[1]
            return [Step("lookup", tensors[1:2], name, args[0].shape[axis]), Step("moved", tensors[:1], name)]
        if called in ("index", "take") and len(tensors) > 1:
            places = args[1] if isinstance(args[1], list | tuple) else [args[1]]
            found = [Step("moved", tensors[:1], name)]
            for axis, one in enumerate(places):
                if isinstance(one, torch.Tensor) and one.dtype != torch.bool:
                    found.append(Step("lookup", (self.name(one),), name, args[0].shape[axis]))
            return found
        if called == "scatter" and len(tensors) > 1:  # how one_hot is built
            return [Step("lookup", tensors[1:2], name, args[0].shape[args[1]])]
        if called == "masked_fill":
            return [Step("select", (tensors[1], tensors[0]), name)]
        kind = _KINDS.get(called, "other")
        if called == "_to_copy" and output.dtype == torch.bool:
            kind = "truth"
        if called == "rsub":
            return [Step("sub", (inputs[1], inputs[0]), name)]
        return [Step(kind, inputs[:2] if kind in _CALCULATES else tensors, name)]
