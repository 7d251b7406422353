"""Numbers that stand for channels in tensors, so that functions move them as they move channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgewright.compress.channel_flow import FIXED

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_STEPS = 1 << 20


class ChannelLabels:
    """The label of channel `id` is 1 + k / 2^20 with a random k: exact also in float32, and a mean of labels is hardly ever another label."""

    def __init__(self) -> None:
        import numpy as np

        self._all = 1 + np.random.default_rng(0).permutation(_STEPS) / _STEPS
        self._count = 0

    def room(self, count: int) -> bool:
        """Whether there are labels for `count` more channels."""
        return self._count + count <= _STEPS

    def of(self, ids: Array) -> Array:
        """The labels of channels, float64; the ids of all channels count from 0."""
        self._count = max(self._count, int(ids.max()) + 1)
        found: Array = self._all[ids]
        return found

    def ids(self, values: Array) -> Array:
        """The channel of each label, int; FIXED for other numbers."""
        import numpy as np

        if not self._count:
            return np.full(len(values), FIXED)
        order, close = np.argsort(self._all[: self._count]), 0.25 / _STEPS
        labels = self._all[order]
        at = np.searchsorted(labels, values - close).clip(0, len(labels) - 1)
        return np.where(np.abs(labels[at] - values) <= close, order[at], FIXED)

    def only(self, values: Array) -> bool:
        """Whether they are labels and zeros alone."""
        return not values[self.ids(values) == FIXED].any()
