"""Channels that must go together: a disjoint-set forest whose sets may be locked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgewright.compress.channel_flow import FIXED

if TYPE_CHECKING:
    import numpy as np

    Ids = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Channels:
    """The channels of a tensor that can go.

    Attributes:
        axis: of the tensor, its batch included.
        ids: int (size of the axis,): which channel lies at each position. The same id may lie at many.
    """

    axis: int
    ids: Ids


class Ties:
    """Ids of channels, which of them are tied, and why some are locked."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._locked: dict[int, str] = {}

    def fresh(self, count: int) -> Ids:
        """New ids."""
        import numpy as np

        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def root(self, one: int) -> int:
        """The id that stands for its set."""
        while self._parents[one] != one:
            self._parents[one] = self._parents[self._parents[one]]
            one = self._parents[one]
        return one

    def roots(self) -> Ids:
        """int (ids,): the root of each id."""
        import numpy as np

        return np.array([self.root(one) for one in range(len(self._parents))], dtype=int)

    def tie(self, many: Iterable[int], why: str) -> None:
        """All of them go or none; with a fixed one among them, none."""
        ids = list(many)
        own = [one for one in ids if one != FIXED]
        for one in own[1:]:
            first, second = self.root(own[0]), self.root(one)
            if first != second:
                self._parents[second] = first
                if second in self._locked:
                    self._locked.setdefault(first, self._locked.pop(second))
        if len(own) < len(ids):
            self.lock(own, why)

    def lock(self, ids: Iterable[int], why: str) -> None:
        """They stay. The first reason is kept."""
        for one in ids:
            if one != FIXED:
                self._locked.setdefault(self.root(int(one)), why)

    def lock_again(self, ids: Iterable[int], why: str) -> None:
        """They stay, and this reason says more than those found before."""
        self._locked.update((self.root(int(one)), why) for one in ids if one != FIXED)

    def locked(self, one: int) -> str | None:
        """Why a channel stays; None if it may go."""
        return None if one == FIXED else self._locked.get(self.root(int(one)))
