"""Detects sources whose outputs change from call to call, and why: random numbers or kept state."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgewright.errors import Code, ModelError

# operators of TensorFlow, ONNX, LiteRT, OpenVINO and PyTorch; TensorFlow's `Stateless` ones draw the same values each time
_RANDOM = re.compile(
    r"(Random|StatefulUniform|StatefulStandardNormal|StatefulTruncatedNormal|StatefulRandom|TruncatedNormal|"
    r"ParameterizedTruncatedNormal|Multinomial|Bernoulli)\w*|Dropout|RANDOM_\w+|MULTINOMIAL|"
    r"(native_|alpha_|feature_)?dropout_?|(rand|randn|randint|randperm|normal|bernoulli|multinomial|poisson|"
    r"exponential|uniform)(_like|_)?"
)
_STATE = re.compile(
    r"Assign(Add|Sub)?(Variable(Op)?)?|Resource(Scatter|Apply)\w+|Scatter(Update|Add|Sub|NdUpdate)|Assign|"
    r"ASSIGN_VARIABLE|SVDF|RNN|LSTM|\w+_SEQUENCE_(RNN|LSTM)|CALL_ONCE"
)
_RANDOM_HINT = "export it for inference, without dropout or sampling (PyTorch: module.eval()), or make the random numbers an input"
_STATE_HINT = (
    "make the state an input and an output of the model (Keras: build the layer with stateful=False)"
)


def random(operators: Iterable[str]) -> list[str]:
    """The given operators that draw random numbers, without duplicates."""
    return sorted({name for name in operators if _RANDOM.fullmatch(name)})


def keeping_state(operators: Iterable[str]) -> list[str]:
    """The given operators that keep state for the next call, without duplicates."""
    return sorted({name for name in operators if _STATE.fullmatch(name)})


def draws(path: Path, operators: Iterable[str]) -> ModelError:
    """The error for a source that draws random numbers."""
    return ModelError(
        f"{path.name} draws random numbers: {', '.join(operators)}", hint=_RANDOM_HINT, code=Code.MODEL_RANDOM
    )


def stateful(path: Path, names: Iterable[str]) -> ModelError:
    """The error for a source that keeps state."""
    return ModelError(
        f"{path.name} keeps state between calls: {', '.join(names)}",
        hint=_STATE_HINT,
        code=Code.MODEL_STATEFUL,
    )


def refusal(path: Path, operators: Iterable[str], kept: Sequence[str] = ()) -> ModelError:
    """The error for a source whose outputs were seen to vary.

    Args:
        operators: all of the model's operators.
        kept: names of state that was seen to change.
    """
    if kept:
        return stateful(path, kept)
    operators = list(operators)
    if found := random(operators):
        return draws(path, found)
    if found := keeping_state(operators):
        return stateful(path, found)
    return ModelError(
        f"{path.name} answers the same input differently each time",
        hint="it draws random numbers or keeps state: export it for inference (PyTorch: module.eval()), or make them inputs of the model",
        code=Code.MODEL_RANDOM,
    )
