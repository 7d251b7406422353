"""Optimisers: Keras's own, and those that a user's function makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgewright.compress import training_functions
from edgewright.errors import DataError

_HINT = "return a new keras.optimizers.Optimizer each time, made with the rate that the function gets"


class Optimiser:
    """An optimiser for one model's weights.

    Args:
        kind: as of `Training.optimiser`.
        rate: that it is made with.
        weights: those that it trains.

    Attributes:
        variables: its own, in a fixed order.

    Raises:
        DataError: a user's function fails, or returns something else.
    """

    def __init__(self, kind: str, rate: float, weights: Sequence[Any]) -> None:
        import keras

        self.kind, self.rate, self._weights = kind, rate, list(weights)
        self._share = 1.0
        if training_functions.is_own(kind):
            self._made = _made(kind, rate)
            self._share = float(self._made.learning_rate) / rate if rate else 1.0
        elif kind == "sgd":
            self._made = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
        else:
            self._made = keras.optimizers.Adam(rate)
        self._run(self._made.build, self._weights)
        self.variables: list[Any] = self._made.variables

    def use(self, rate: float) -> None:
        """Sets the learning rate; a user's optimiser keeps its proportion to the rate that the function got."""
        self._made.learning_rate.assign(self._share * rate)

    def scaled(self, loss: Any) -> Any:
        """The loss whose gradients `apply` takes."""
        return self._made.scale_loss(loss)

    def apply(self, gradients: Sequence[Any]) -> None:
        """Changes the weights."""
        self._run(self._made.apply, gradients, self._weights)

    def _run(self, function: Any, *arguments: Any) -> None:
        if training_functions.is_own(self.kind):
            training_functions.run("optimiser", self.kind, function, *arguments, hint=_HINT)
        else:
            function(*arguments)


def _made(kind: str, rate: float) -> Any:
    """What a user's function returns, checked."""
    import keras

    made = training_functions.call("optimiser", kind, rate, hint=f"it is called with {rate}")
    what = f"optimiser {training_functions.shown(kind)}"
    if not isinstance(made, keras.optimizers.Optimizer):
        raise DataError(f"{what} returned {training_functions.kind_of(made)}", hint=_HINT)
    if made.built:
        raise DataError(f"{what} returned an optimiser that is in use already", hint=_HINT)
    if not isinstance(made.learning_rate, keras.Variable):
        raise DataError(
            f"{what} returned an optimiser with a schedule",
            hint="make it with the rate as a number; schedules go into `schedule`",
        )
    return made
