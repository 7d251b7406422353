"""The values that an input takes, as far as the source's first layers reveal them.

Without data, random samples are drawn from this domain; with data, the manifest notes if their range differs.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from edgewright.compile.sources import first_layers
from edgewright.compile.sources.first_layers import Affine, Graph, Uses
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.base import Noun

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_DEVIATIONS = 3.0  # standard deviations to either side of the mean: nearly all of a normal distribution
_LEAST_RESCALED = 100.0  # a smaller divisor may be anything, such as the root of the number of channels
_LEAST_ALONE = 1000.0  # below this, x in `(x - 1) * 100` may be a measured value rather than a mask
_SIGNED = (32767.0, 32768.0)  # sound: samples lie on both sides of 0
_KNOWN = (
    255.0,
    256.0,
    65535.0,
    65536.0,
    *_SIGNED,
)  # upper ends of the ranges that images and sound are stored in
_NEAR = 0.01


class InputDomain(Noun, frozen=True, kw_only=True):
    """The values that an input takes.

    Attributes:
        cause: `lookup`, `mask`, `rescaling` or `normalization`.
        low, high: least and greatest value; several if they vary over the input's last axes.
        shape: the shape of several values, which broadcasts to the input's.
        integers: integers only.
        stored: the domain is the full range of a common storage format for images or sound, so data in another range are worth a note.
    """

    cause: str
    low: tuple[float, ...]
    high: tuple[float, ...]
    shape: tuple[int, ...] = ()
    integers: bool = False
    stored: bool = False

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest value overall."""
        return min(self.low), max(self.high)


Domains = tuple[InputDomain | None, ...]


def of(model: Any) -> Domains:
    """The domain of each input of an opened source; None if unknown.

    A graph that its reader cannot handle is not an error: the domains are then unknown.
    """
    try:
        graph, names = model.first_layers()
    except Exception:  # noqa: BLE001 - any graph, any framework; the log has it
        traceback.print_exc()
        return (None,) * len(model.inputs)
    return tuple(_read(graph, name, spec) for name, spec in zip(names, model.inputs, strict=True))


def _read(graph: Graph, name: str, spec: TensorSpec) -> InputDomain | None:
    try:
        return _domain(graph, name, spec)
    except Exception:  # noqa: BLE001 - the other inputs may be understood
        traceback.print_exc()
        return None


def _domain(graph: Graph, name: str, spec: TensorSpec) -> InputDomain | None:
    import numpy as np

    kind = np.dtype(spec.dtype).kind
    found = first_layers.uses(graph, name)
    if looked := _lookup(found):
        return looked
    if kind in "iu" and spec.scale is None and (mask := _mask(found, np.dtype(spec.dtype).itemsize)):
        return mask
    chain = first_layers.affine(graph, name)
    if chain is None or kind == "b" or spec.scale is not None:
        return None
    if kind == "f":
        return _integer_domain(0, 1, "mask") if _is_inverted(chain) else _implied(chain, spec)
    implied = _implied(chain, spec) if np.dtype(spec.dtype).itemsize > 1 else None
    if implied is None or implied.cause != "rescaling":
        return None
    return msgspec.structs.replace(implied, integers=True)


def _integer_domain(low: int, high: int, cause: str) -> InputDomain:
    return InputDomain(cause=cause, low=(float(low),), high=(float(high),), integers=True)


def _lookup(found: Uses) -> InputDomain | None:
    """Indexes into the smallest table. Lookups by index plus a constant are used only if there are no plain ones: the
    constant may apply to negative indexes only."""
    sizes = [size for size in found.sizes if size]
    if sizes:
        return _integer_domain(0, min(sizes) - 1, "lookup")
    ends = [(-added, size - 1 - added) for size, added in found.shifted if size]
    low, high = max([0, *(low for low, _ in ends)]), min((high for _, high in ends), default=-1)
    return _integer_domain(low, high, "lookup") if 0 <= low <= high else None


def _mask(found: Uses, size: int) -> InputDomain | None:
    """A mask of 0 and 1, or up to the constants that it is compared with. A single byte may just as well be a pixel, unless it is a condition."""
    if found.sizes or found.shifted or found.others:
        return None
    if not (found.chooses or (size > 1 and (found.decides or found.limits))):
        return None
    return _integer_domain(0, max([1, *found.limits]), "mask")


def _is_inverted(chain: Affine) -> bool:
    """Whether it computes (1 - x) times a large number, or (x - 1) times a larger one: a float mask that is added to scores."""
    if chain.scale.size != 1 or chain.offset.size != 1:
        return False
    scale, offset = float(chain.scale.reshape(-1)[0]), float(chain.offset.reshape(-1)[0])
    if scale != -offset:
        return False
    return abs(scale) >= first_layers.LEAST_MASKED if chain.kinds[0] == "from" else scale >= _LEAST_ALONE


def _implied(chain: Affine, spec: TensorSpec) -> InputDomain | None:
    if chain.kinds[0] in ("mul", "div"):
        return _rescaled(*chain.first)
    if len(chain.kinds) > 1 and chain.kinds[1] in ("mul", "div"):
        return _normalized(chain, spec)
    return None


def _rescaled(scale: Array, offset: Array) -> InputDomain | None:
    """`x / 255`, `x / 127.5 - 1` and the like."""
    factor, added = _single_value(scale), _single_value(offset)
    if factor is None or not 0 < factor * _LEAST_RESCALED <= 1:
        return None
    high = (2 if added == -1 else 1) / factor
    low = -high if any(_is(high, one) for one in _SIGNED) and added == 0 else 0.0
    return InputDomain(cause="rescaling", low=(low,), high=(high,), stored=_is_stored(high))


def _normalized(chain: Affine, spec: TensorSpec) -> InputDomain | None:
    """`(x - mean) / deviation`; if both are a single number that maps a range from 0, it is rescaling, as for images."""
    import numpy as np

    with np.errstate(all="ignore"):
        deviation, mean = 1 / chain.scale, -chain.offset / chain.scale
    if not (np.isfinite(deviation).all() and np.isfinite(mean).all() and (deviation > 0).all()):
        return None
    one, middle = _single_value(deviation), _single_value(mean)
    if one is not None and middle is not None and (_is(middle, one) or _is(2 * middle, one)):
        return InputDomain(cause="rescaling", low=(0.0,), high=(2 * middle,), stored=_is_stored(2 * middle))
    if one == 1.0:  # only the mean is subtracted: the spread is unknown
        return None
    low, high = np.broadcast_arrays(mean - _DEVIATIONS * deviation, mean + _DEVIATIONS * deviation)
    fits = chain.aligned and _broadcasts(low.shape, spec.shape)
    if not fits:
        low, high = low.min(), high.max()
    return InputDomain(
        cause="normalization",
        low=tuple(map(float, low.reshape(-1))),
        high=tuple(map(float, high.reshape(-1))),
        shape=low.shape,
        stored=True,
    )


def _single_value(array: Array) -> float | None:
    """The single value that all elements of an array have, else None."""
    flat = array.reshape(-1)
    return float(flat[0]) if flat.size and bool((flat == flat[0]).all()) else None


def _is(number: float, other: float) -> bool:
    return abs(number - other) <= _NEAR * abs(other)


def _is_stored(high: float) -> bool:
    return any(_is(high, one) for one in _KNOWN)


def _broadcasts(shape: Sequence[int], wanted: Sequence[int]) -> bool:
    import numpy as np

    try:
        return np.broadcast_shapes(tuple(shape), tuple(wanted)) == tuple(wanted)
    except ValueError:
        return False


def drawn(generator: np.random.Generator, spec: TensorSpec, domain: InputDomain) -> Array:
    """Random values from a domain: uniform integers; a normal distribution around the mean that the model normalizes by;
    else uniform floats."""
    import numpy as np

    low = np.asarray(domain.low).reshape(domain.shape)
    high = np.asarray(domain.high).reshape(domain.shape)
    if domain.integers:
        dtype = np.dtype(spec.dtype)
        most = (
            np.iinfo(dtype).max if dtype.kind in "iu" else high.max()
        )  # a table may have more rows than the dtype can index
        last = round(min(float(high.max()), float(most)))
        return generator.integers(round(float(low.min())), last + 1, spec.shape).astype(spec.dtype)
    if domain.cause == "normalization":
        within = np.clip(generator.standard_normal(spec.shape), -_DEVIATIONS, _DEVIATIONS)
        share = (within / _DEVIATIONS + 1) / 2
    else:
        share = generator.random(spec.shape)
    return np.asarray(low + share * (high - low)).astype(spec.dtype)
