"""The frameworks whose networks can be compressed: source formats, and the module that opens them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from edgewright.compress.network import Network
from edgewright.errors import Code, ModelError
from edgewright.nouns.base import Noun


class Framework(Noun, frozen=True, kw_only=True):
    """A framework.

    Attributes:
        module: its `open_network(path, format)` returns a `Network`.
        suffix: of the files that its networks are saved to.
        tools: distributions that it needs.
        trains: whether its networks can be trained further.
    """

    module: str
    suffix: str
    tools: tuple[str, ...]
    trains: bool = True


_KERAS = Framework(module="edgewright.compress.keras.network", suffix=".keras", tools=("tensorflow", "keras"))
_PYTORCH = Framework(
    module="edgewright.compress.pytorch.network", suffix=".pt2", tools=("torch", "torch-pruning")
)
ONNX_TARGET = "onnxruntime"
"""The target that makes ONNX files of networks, in floats and in int8."""

_ONNX = Framework(
    module="edgewright.compress.onnx.network", suffix=".onnx", tools=(ONNX_TARGET, "onnx"), trains=False
)
FRAMEWORKS = {"keras": _KERAS, "h5": _KERAS, "pytorch": _PYTORCH, "pt2": _PYTORCH, "onnx": _ONNX}


def cuts_channels(name: str) -> bool:
    """Whether channels can be removed from networks of a source format."""
    return trains(name) and name != "pt2"


def trains(name: str) -> bool:
    """Whether networks of a source format can be trained further."""
    return name in FRAMEWORKS and FRAMEWORKS[name].trains


def of_format(name: str, title: str) -> Framework:
    """The framework of a source format.

    Args:
        title: the format in words.

    Raises:
        ModelError: models of that format cannot be compressed.
    """
    if name not in FRAMEWORKS:
        raise ModelError(
            f"{title} cannot be compressed",
            hint="give what it was exported from: a .keras or .h5 file, or a module.py:function that returns the PyTorch module",
            code=Code.MODEL_UNTRAINABLE,
        )
    return FRAMEWORKS[name]


def cannot_train(does: str) -> ModelError:
    """The error for what a network cannot do because its format cannot be trained.

    Args:
        does: what was asked for, such as `finetune trains`.
    """
    return ModelError(
        f"{does}: ONNX models cannot be trained further or lose channels",
        hint="give the Keras or PyTorch source that it was exported from, or take steps without training: prune with `epochs = 0`, cluster, "
        "equalise, correct-bias",
        code=Code.MODEL_UNTRAINABLE,
    )


def open_network(path: Path, name: str) -> Network:
    """Opens a network of a source format. Called in the worker of its framework. Raises ModelError if that is impossible."""
    module = importlib.import_module(FRAMEWORKS[name].module)
    return cast(Network, module.open_network(path, name))
