"""Sums of squares over an output's positions: the source's signal and the artifact's error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class Sums:
    """Sums over samples at every position of an output, in float64.

    Args:
        centre: any answer, of the output's shape; sums about it keep all digits if it is near the mean.

    Attributes:
        noise: sums of (out - ref)^2, not centred, so that a dropped bias or a wrong zero point shows.
        count: number of values added.
    """

    def __init__(self, centre: Array) -> None:
        import numpy as np

        self._centre = np.asarray(centre, np.float64)
        self._sum, self._squares = np.zeros_like(self._centre), np.zeros_like(self._centre)
        self.noise, self.count = np.zeros_like(self._centre), np.zeros_like(self._centre)

    def add(self, reference: Array, output: Array, counts: Array) -> None:
        """Adds the outputs for one sample.

        Args:
            counts: a mask; values where it is false are not added.
        """
        import numpy as np

        away = np.where(counts, reference - self._centre, 0.0)
        self._sum += away
        self._squares += np.square(away)
        self.noise += np.where(counts, np.square(output - reference), 0.0)
        self.count += counts

    @property
    def mean(self) -> Array:
        """The mean of ref over the samples."""
        import numpy as np

        found: Array = self._centre + self._sum / np.maximum(1.0, self.count)
        return found

    @property
    def signal(self) -> Array:
        """Sums of (ref - mean of ref)^2, with the mean over the samples."""
        import numpy as np

        found: Array = np.maximum(0.0, self._squares - np.square(self._sum) / np.maximum(1.0, self.count))
        return found


def along(values: Array, axis: int) -> Array:
    """The sums over all other axes, one per index of an axis."""
    found: Array = values.sum(axis=tuple(other for other in range(values.ndim) if other != axis))
    return found
