"""What layers with several inputs do to channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.compress.channel_flow import FIXED
from edgewright.compress.keras.channel_ids import Channels
from edgewright.compress.keras.channel_trace import Call, NotFollowed, Trace, label

if TYPE_CHECKING:
    import numpy as np

    Ids = np.ndarray[Any, Any]


def merge(trace: Trace, call: Call) -> Channels:
    """Computes number by number, with broadcasting: channels at the same position are tied."""
    import numpy as np

    if any(np.size(one) > 1 for one in call.constants if not isinstance(one, str)):
        raise NotFollowed("computes with arrays of numbers")
    axis = _common_axis(call)
    size = max(tensor.shape[axis] for tensor in call.inputs)
    why = f"{label(call.layer)} joins them with channels that stay"
    rows = []
    for tensor, channels in zip(call.inputs, call.channels, strict=True):
        ids = _ids(tensor, channels, axis)
        if len(ids) == size:
            rows.append(ids)
        else:
            trace.ties.lock(ids, f"{label(call.layer)} gives them to all channels of another input")
    return _tied(trace, rows, axis, why)


def concatenate(trace: Trace, call: Call) -> Channels:
    """Puts channels side by side; along another axis, it ties them."""
    import numpy as np

    axis = _common_axis(call)
    rows = [_ids(tensor, channels, axis) for tensor, channels in zip(call.inputs, call.channels, strict=True)]
    if call.layer.axis % len(call.inputs[0].shape) == axis:
        return Channels(axis, np.concatenate(rows))
    return _tied(trace, rows, axis, f"{label(call.layer)} joins them with channels that stay")


def _tied(trace: Trace, rows: list[Ids], axis: int, why: str) -> Channels:
    """The channels of tensors that lie above one another. Where one stays, all do."""
    import numpy as np

    for column in zip(*rows, strict=True):
        trace.ties.tie((int(one) for one in column), why)
    return Channels(axis, np.stack(rows).max(axis=0))  # any that is not fixed stands for those tied to it


def _common_axis(call: Call) -> int:
    """The axis along which all inputs have their channels. Raises NotFollowed if there is none."""
    axes = {one.axis for one in call.channels if one is not None}
    ranks = {len(tensor.shape) for tensor in call.inputs}
    if len(axes) != 1 or len(ranks) != 1:
        raise NotFollowed("has inputs whose channels lie along different axes")
    axis = axes.pop()
    if any(tensor.shape[axis] is None for tensor in call.inputs):
        raise NotFollowed("has an open size")
    return axis


def _ids(tensor: Any, channels: Channels | None, axis: int) -> Ids:
    import numpy as np

    return np.full(tensor.shape[axis], FIXED) if channels is None else channels.ids
