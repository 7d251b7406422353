"""Parts of the samples: answers may fill 256 MiB, so metrics look at some of them at a time."""

from __future__ import annotations

from collections.abc import Iterator

AT_ONCE = 1 << 20  # values that are in memory at once in another form, at most 8 bytes each


def parts(samples: int, width: int) -> Iterator[slice]:
    """Slices that cover all samples in order.

    Args:
        width: values per sample.
    """
    step = max(1, AT_ONCE // max(1, width))
    for at in range(0, samples, step):
        yield slice(at, min(at + step, samples))
