"""What each layer of Keras does to channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgewright.compress.keras import merge_rules, shape_rules, weighted_layers
from edgewright.compress.keras.channel_ids import Channels
from edgewright.compress.keras.channel_trace import Call, NotFollowed, Setting, Trace, along

if TYPE_CHECKING:
    import numpy as np

    Ids = np.ndarray[Any, Any]

Rule = Callable[[Trace, Call], Channels]

_ELEMENTWISE_FUNCTIONS = frozenset(
    [
        "celu",
        "elu",
        "exponential",
        "gelu",
        "hard_shrink",
        "hard_sigmoid",
        "hard_silu",
        "hard_swish",
        "hard_tanh",
        "leaky_relu",
        "linear",
        "log_sigmoid",
        "mish",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "soft_shrink",
        "softplus",
        "softsign",
        "sparse_plus",
        "sparse_sigmoid",
        "squareplus",
        "swish",
        "tanh",
        "tanh_shrink",
        "threshold",
    ]
)
_ELEMENTWISE_LAYERS = [
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "ELU",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "LeakyReLU",
    "ReLU",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]
_ELEMENTWISE_OPERATIONS = [
    "Abs",
    "Absolute",
    "Elu",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSilu",
    "HardSwish",
    "LeakyRelu",
    "Negative",
    "Relu",
    "Relu6",
    "Selu",
    "Sigmoid",
    "Silu",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Square",
    "Tanh",
]
_SPATIAL = (
    *(f"{kind}Pooling{size}D" for kind in ("Max", "Average") for size in (1, 2, 3)),
    *(f"{kind}{size}D" for kind in ("ZeroPadding", "Cropping", "UpSampling") for size in (1, 2, 3)),
)


def rule_of(layer: Any) -> Rule | None:
    """The rule for a layer or operation; None if there is none."""
    import keras

    name = weighted_layers.class_name(layer)
    return _RULES.get(name if isinstance(layer, keras.layers.Layer) else f"ops.{name}")


def _channel_axis(call: Call) -> int:
    first = getattr(call.layer, "data_format", None) == "channels_first"
    return 1 if first else len(call.inputs[0].shape) - 1


def _mixes(layer: Any) -> str | None:
    """The name of an activation that is not known to compute each number by itself."""
    import keras

    function = getattr(layer, "activation", None)
    name = str(getattr(function, "__name__", type(function).__name__))
    known = name in _ELEMENTWISE_FUNCTIONS and getattr(keras.activations, name, None) is function
    return None if function is None or known else name


def _made(trace: Trace, call: Call, axis: int, ids: Ids) -> Channels:
    """Output channels of a weighted layer."""
    trace.produced[call.layer.name] = ids
    if name := _mixes(call.layer):
        trace.ties.lock(ids, f"activation {name} of {call.layer.name} may mix them")
    return Channels(axis, ids)


def _convolution(trace: Trace, call: Call) -> Channels:
    import numpy as np

    layer, axis = call.layer, _channel_axis(call)
    if getattr(layer, "groups", 1) != 1:
        raise NotFollowed("is a grouped convolution")
    if weighted_layers.form(layer) is None:
        raise NotFollowed("has quantised weights")
    inputs, made = along(trace, call, axis), trace.ties.fresh(layer.filters)
    form = weighted_layers.described(layer)
    trace.cut(layer, weighted_layers.main_weights(layer), form.outputs, made)
    if hasattr(layer, "depthwise_kernel"):
        trace.cut(layer, layer.depthwise_kernel, -2, inputs)
        trace.cut(layer, layer.pointwise_kernel, -2, np.repeat(inputs, layer.depth_multiplier))
    elif form.inputs is not None:
        trace.cut(layer, layer.kernel, form.inputs, inputs)
    trace.cut(layer, layer.bias, 0, made)
    _counted(trace, layer, "filters", made)
    return _made(trace, call, axis, made)


def _dense(trace: Trace, call: Call) -> Channels:
    layer, axis = call.layer, len(call.inputs[0].shape) - 1
    if weighted_layers.form(layer) is None or getattr(layer, "lora_enabled", False):
        raise NotFollowed("has quantised weights or added ones")
    inputs, made = along(trace, call, axis), trace.ties.fresh(layer.units)
    trace.cut(layer, layer.kernel, -1, made)
    trace.cut(layer, layer.kernel, -2, inputs)
    trace.cut(layer, layer.bias, 0, made)
    _counted(trace, layer, "units", made)
    return _made(trace, call, axis, made)


def _counted(trace: Trace, layer: Any, key: str, ids: Ids) -> None:
    trace.settings.append(Setting(layer.name, key, ids))
    trace.made[layer.name] = ids


def _depthwise(trace: Trace, call: Call) -> Channels:
    import numpy as np

    layer, axis = call.layer, _channel_axis(call)
    inputs = along(trace, call, axis)
    outputs = np.repeat(inputs, layer.depth_multiplier)
    trace.cut(layer, layer.kernel, -2, inputs)
    trace.cut(layer, layer.bias, 0, outputs)
    trace.made[layer.name] = inputs
    return _made(trace, call, axis, outputs)


def _batch_normalization(trace: Trace, call: Call) -> Channels:
    layer, channels = call.layer, call.followed
    given = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
    axis = given % len(call.inputs[0].shape)
    if channels.axis != axis or len(call.inputs) != 1:
        raise NotFollowed("normalises along another axis")
    for variable in layer.weights:
        trace.cut(layer, variable, 0, channels.ids)
    return channels


def _prelu(trace: Trace, call: Call) -> Channels:
    channels, alpha = call.followed, call.layer.alpha
    if alpha.shape[channels.axis - 1] != 1:
        trace.cut(call.layer, alpha, channels.axis - 1, channels.ids)
    return channels


def _activation(_trace: Trace, call: Call) -> Channels:
    if name := _mixes(call.layer):
        raise NotFollowed(f"may mix channels with {name}")
    return call.followed


def _elementwise(_trace: Trace, call: Call) -> Channels:
    import numpy as np

    if len(call.inputs) != 1 or any(np.size(one) > 1 for one in call.constants if not isinstance(one, str)):
        raise NotFollowed("computes with arrays of numbers")
    return call.followed


def _rescaling(_trace: Trace, call: Call) -> Channels:
    import numpy as np

    if np.size(call.layer.scale) > 1 or np.size(call.layer.offset) > 1:
        raise NotFollowed("scales each channel by itself")
    return call.followed


def _spatial(_trace: Trace, call: Call) -> Channels:
    channels = call.followed
    if channels.axis != _channel_axis(call):
        raise NotFollowed("moves along the axis of channels")
    return channels


def _global(trace: Trace, call: Call) -> Channels:
    channels = _spatial(trace, call)
    return channels if call.layer.keepdims else Channels(1, channels.ids)


_RULES: dict[str, Rule] = {
    **{f"Conv{size}D": _convolution for size in (1, 2, 3)},
    **{f"Conv{size}DTranspose": _convolution for size in (1, 2, 3)},
    **{f"SeparableConv{size}D": _convolution for size in (1, 2)},
    **{f"DepthwiseConv{size}D": _depthwise for size in (1, 2)},
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "PReLU": _prelu,
    "Activation": _activation,
    "Rescaling": _rescaling,
    **dict.fromkeys(_ELEMENTWISE_LAYERS, _elementwise),
    **{f"ops.{name}": _elementwise for name in _ELEMENTWISE_OPERATIONS},
    **dict.fromkeys(_SPATIAL, _spatial),
    **{f"Global{kind}Pooling{size}D": _global for kind in ("Max", "Average") for size in (1, 2, 3)},
    "Flatten": shape_rules.flatten,
    "Reshape": shape_rules.reshape,
    "Permute": shape_rules.permute,
    "RepeatVector": shape_rules.repeat,
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), merge_rules.merge),
    **dict.fromkeys(
        (
            "ops.Add",
            "ops.Subtract",
            "ops.Multiply",
            "ops.TrueDivide",
            "ops.Divide",
            "ops.Maximum",
            "ops.Minimum",
        ),
        merge_rules.merge,
    ),
    "Concatenate": merge_rules.concatenate,
    "ops.Concatenate": merge_rules.concatenate,
}
