"""What layers that move numbers do to channels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edgewright.compress.keras.channel_ids import Channels
from edgewright.compress.keras.channel_trace import Call, NotFollowed, Setting, Trace

if TYPE_CHECKING:
    import numpy as np

    Ids = np.ndarray[Any, Any]


def flatten(_trace: Trace, call: Call) -> Channels:
    """Each channel goes to many positions."""
    import numpy as np

    spread = _spread(call)
    if call.layer.data_format == "channels_first" and spread.ndim > 1:
        spread = np.moveaxis(spread, 0, -1)
    return _gathered(spread.reshape(-1))


def permute(_trace: Trace, call: Call) -> Channels:
    """The axis of channels becomes another one."""
    channels = call.followed
    return Channels(1 + tuple(call.layer.dims).index(channels.axis), channels.ids)


def reshape(trace: Trace, call: Call) -> Channels:
    """Channels must lie along one axis afterwards too."""
    shape = call.output.shape[1:]
    if math.prod(size or 0 for size in shape) == 0:
        raise NotFollowed("has an open size")
    found = _gathered(_spread(call).reshape(shape))
    trace.settings.append(Setting(call.layer.name, "target_shape", found.ids, found.axis - 1))
    return found


def repeat(_trace: Trace, call: Call) -> Channels:
    """(batch, channels) becomes (batch, repeats, channels)."""
    channels = call.followed
    return Channels(2, channels.ids)


def _spread(call: Call) -> Ids:
    """The id of each number of one sample."""
    import numpy as np

    channels, shape = call.followed, call.inputs[0].shape[1:]
    if any(size is None for size in shape):
        raise NotFollowed("has an open size")
    column = [1] * len(shape)
    column[channels.axis - 1] = -1
    return np.broadcast_to(channels.ids.reshape(column), shape)


def _gathered(spread: Ids) -> Channels:
    """The axis along which the ids vary, and the ids along it. Raises NotFollowed if they vary along several."""
    varying = [axis for axis in range(spread.ndim) if (spread != spread.take([0], axis)).any()]
    if len(varying) > 1:
        raise NotFollowed("spreads a channel over several axes")
    axis = varying[0] if varying else spread.ndim - 1
    index = [0] * spread.ndim
    index[axis] = slice(None)  # type: ignore[call-overload]
    return Channels(axis + 1, spread[tuple(index)])
