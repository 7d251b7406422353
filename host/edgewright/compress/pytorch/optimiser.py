"""Optimisers: PyTorch's own, and those that a user's function makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgewright.compress import training_functions
from edgewright.compress.pytorch.body import Body
from edgewright.errors import DataError

_HINT = "return a torch.optim.Optimizer of the parameters that the function gets"


class Optimiser:
    """An optimiser for the trained parameters of a network.

    Args:
        kind: as of `Training.optimiser`.
        rate: that it is made with.

    Raises:
        DataError: a user's function fails, or returns something else.
    """

    def __init__(self, body: Body, kind: str, rate: float) -> None:
        import torch

        self.kind, self.rate = kind, rate
        trained = [tensor for tensor in body.flat.parameters() if tensor.requires_grad]
        if training_functions.is_own(kind):
            self._made = training_functions.call(
                "optimiser", kind, trained, rate, hint=f"it is called with a list of parameters and {rate}"
            )
            if not isinstance(self._made, torch.optim.Optimizer):
                raise DataError(f"{self._what} returned {training_functions.kind_of(self._made)}", hint=_HINT)
        elif kind == "sgd":
            self._made = torch.optim.SGD(trained, lr=rate, momentum=0.9, nesterov=True)
        else:
            self._made = torch.optim.Adam(trained, lr=rate)
        self._shares = [float(group["lr"]) / rate if rate else 1.0 for group in self._made.param_groups]

    @property
    def _what(self) -> str:
        return f"optimiser {training_functions.shown(self.kind)}"

    def use(self, rate: float) -> None:
        """Sets the learning rate; each group of a user's optimiser keeps its proportion to the rate that the function got."""
        for group, share in zip(self._made.param_groups, self._shares, strict=True):
            group["lr"] = share * rate

    def begin(self) -> None:
        """Forgets the gradients."""
        self._made.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Changes the parameters."""
        if training_functions.is_own(self.kind):
            training_functions.run("optimiser", self.kind, self._made.step, hint=_HINT)
        else:
            self._made.step()

    def state(self) -> dict[str, Any]:
        """All that a checkpoint keeps of it. Raises DataError if that holds anything but tensors and plain values."""
        found: dict[str, Any] = self._made.state_dict()
        if strange := _strange(found):
            raise DataError(
                f"{self._what} keeps {training_functions.kind_of(strange[0])} in its state, which no checkpoint can hold",
                hint="keep tensors, numbers, lists and dictionaries in the optimiser's state",
            )
        return {"kind": self.kind, "rate": self.rate, "state": found}


def restored(body: Body, kept: Mapping[str, Any]) -> Optimiser:
    """The optimiser of a checkpoint."""
    found = Optimiser(body, kept["kind"], kept["rate"])
    found._made.load_state_dict(kept["state"])
    return found


def _strange(value: Any) -> list[Any]:
    """The parts of a state that PyTorch does not load without running code."""
    import torch

    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list | tuple):
        return [part for one in value for part in _strange(one)]
    plain = value is None or type(value) in (bool, int, float, str) or isinstance(value, torch.Tensor)
    return [] if plain else [value]
