"""A source's first operations on each input, in a form that does not depend on its format."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

SMALL = 1 << 16  # values of a constant that is read; larger ones are weights
LEAST_MASKED = (
    100.0  # least factor of an inverted mask (1 - x, or x - 1): the scores that it hides have to vanish
)
_MAX_FOLDED = 8  # operators to fold into one constant
_MAX_STEPS = 512  # steps to follow behind one input: later ones are no longer first layers


class Step(NamedTuple):
    """One operator.

    Attributes:
        kind: `same` (the value in the same layout), `moved` (the value in another layout), `handed` (passed into or out
            of an inner graph, so not a constant), `lookup` (its value is an index), `condition`
            (its value decides), `select` (the first input decides between the others), `truth` (whether the value is not 0),
            `shape` (the value does not matter), `equal` and `order` (comparisons), `sum`; `mul`, `add`, `sub`, `div`, `max`, `min`, `sqrt`; else
            `other`.
        size: for a `lookup`, the number of valid indexes; 0 if unknown.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    size: int = 0


class Graph:
    """Operators and constants.

    Args:
        value: returns a constant's values; None if it is not a constant, or has more than `SMALL` values.
        inputs: names of the inputs.
    """

    def __init__(
        self, steps: Iterable[Step], value: Callable[[str], Array | None], inputs: Iterable[str]
    ) -> None:
        self._value, self._inputs = value, set(inputs)
        self._readers: Mapping[str, list[Step]] = defaultdict(list)
        self._makers: Mapping[str, list[Step]] = defaultdict(list)
        for step in steps:
            if step.output:  # otherwise nothing reads it
                self._makers[step.output].append(step)
            for name in dict.fromkeys(step.inputs):
                self._readers[name].append(step)

    def readers(self, name: str) -> Sequence[Step]:
        """The operators that read a tensor."""
        return self._readers.get(name, ())

    def constant(self, name: str, depth: int = _MAX_FOLDED) -> Array | None:
        """The values of a tensor that does not depend on any input; None if it does, or if they are unknown."""
        import numpy as np

        found, makers = self._value(name), self._makers.get(name, ())
        if found is not None or len(makers) != 1 or not depth or makers[0].kind not in _FOLDED:
            return found
        step = makers[0]
        operands = [self.constant(one, depth - 1) for one in step.inputs]
        known = [np.asarray(one) for one in operands if one is not None]
        if len(known) < len(operands) or len(known) != _OPERANDS.get(step.kind, 2):
            return None
        with np.errstate(all="ignore"):
            return np.asarray(_FOLDED[step.kind](*known))

    def depends(self, name: str, but: str) -> bool:
        """Whether a tensor depends on an input other than `but`."""
        pending, seen = [name], {name}
        while pending:
            at = pending.pop()
            if at in self._inputs and at != but:
                return True
            before = {one for step in self._makers.get(at, ()) if step.kind != "shape" for one in step.inputs}
            pending += before - seen
            seen |= before
        return False


def _first(array: Array, *_: Array) -> Array:
    return array


def _quotient(one: Array, other: Array) -> Array:
    import numpy as np

    with np.errstate(all="ignore"):
        found: Array = np.divide(one, other)
    return found


def _root(array: Array) -> Array:
    import numpy as np

    found: Array = np.sqrt(array)
    return found


def _greater(one: Array, other: Array) -> Array:
    import numpy as np

    return np.maximum(one, other)


_FOLDED: dict[str, Callable[..., Array]] = {
    "same": _first,
    "moved": _first,
    "mul": lambda one, other: one * other,
    "add": lambda one, other: one + other,
    "sub": lambda one, other: one - other,
    "div": _quotient,
    "max": _greater,
    "sqrt": _root,
}
_OPERANDS = dict.fromkeys(("same", "moved", "sqrt"), 1)  # else 2; a join of several inputs is not folded


class Uses:
    """How one input is used.

    Attributes:
        sizes: sizes of the lookups that it indexes.
        shifted: (size, offset) of lookups that it indexes after a constant offset was added.
        chooses: it is a condition.
        decides: it is used in arithmetic that is typical of masks.
        limits: the constants that it is compared with, as the least integer value above the comparison.
        others: it is also used where numbers of any size make sense.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.sizes: list[int] = []
        self.shifted: list[tuple[int, int]] = []
        self.limits: list[int] = []
        self.chooses = False
        self.decides = False
        self.others = False


def uses(graph: Graph, name: str) -> Uses:
    """Follows an input through operators that only move it."""
    found = Uses(name)
    pending = [(name, 0)]
    seen = {(name, 0)}
    while pending:
        at, shift = pending.pop()
        for step in graph.readers(at):
            added = _offset_of_move(graph, step, at)
            if added is None:
                _note(found, graph, step, at, shift)
                continue
            behind = (step.output, shift + added)
            if behind not in seen and len(seen) < _MAX_STEPS:
                seen.add(behind)
                pending.append(behind)
    return found


def _offset_of_move(graph: Graph, step: Step, name: str) -> int | None:
    """The integer offset that a step adds to an otherwise unchanged value; None if it changes the value in another way."""
    if step.kind in ("same", "moved", "handed", "max", "min"):  # clamping does not change valid indexes
        return 0
    if step.kind == "select" and name != step.inputs[0]:
        return 0
    return _added(graph, step, name) if step.kind in ("add", "sub") else None


def _note(found: Uses, graph: Graph, step: Step, name: str, shift: int) -> None:
    if step.kind == "lookup":
        if shift:
            found.shifted.append((step.size, shift))
        else:
            found.sizes.append(step.size)
    elif step.kind in ("condition", "select", "truth"):
        found.chooses = True
    elif step.kind in ("equal", "order"):
        _note_comparison(found, graph, step, name)
    elif step.kind in ("mul", "sub", "add", "div"):
        _note_arithmetic(found, graph, step, name, shift)
    elif step.kind not in ("shape", "sum"):
        found.others = True


def _other(step: Step, name: str) -> str:
    """The operand that is not `name`; empty if both are."""
    return next((one for one in step.inputs if one != name), "")


def _scalar(array: Array | None) -> float | None:
    """A constant's single value, if it is finite."""
    number = float(array.reshape(-1)[0]) if array is not None and array.size == 1 else math.inf
    return number if math.isfinite(number) else None


def _added(graph: Graph, step: Step, name: str) -> int | None:
    """The integer constant that a step adds to the value."""
    number = _scalar(graph.constant(_other(step, name)))
    if number is None or number != round(number) or (step.kind == "sub" and step.inputs[0] != name):
        return None
    return round(-number if step.kind == "sub" else number)


def _note_comparison(found: Uses, graph: Graph, step: Step, name: str) -> None:
    number = _scalar(graph.constant(_other(step, name)))
    if number is not None:
        found.limits.append(round(number) + (step.kind == "order"))


def _note_arithmetic(found: Uses, graph: Graph, step: Step, name: str, shift: int) -> None:
    """Records whether the arithmetic is typical of masks (1 - x, (x - 1) * 10000, or x times other inputs) or of ordinary numbers."""
    operand = _other(step, name)
    number = _scalar(graph.constant(operand))
    if step.kind == "sub":
        masks = step.inputs[0] != name and number == 1
    elif step.kind == "mul" and shift == -1 and number is not None:
        masks = abs(number) >= LEAST_MASKED
    else:
        masks = step.kind == "mul" and bool(operand) and graph.depends(operand, found.name)
    found.decides, found.others = found.decides or masks, found.others or not masks


class Affine(NamedTuple):
    """value * scale + offset, with the operators in order.

    Attributes:
        kinds: such as ("mul", "add"); `from` is a `sub` whose constant comes first.
        scale, offset: of all operators together.
        first: (scale, offset) of the first ones.
        aligned: constants with several values line up with the input's own last axes.
    """

    kinds: tuple[str, ...]
    scale: Array
    offset: Array
    first: tuple[Array, Array]
    aligned: bool


def affine(graph: Graph, name: str) -> Affine | None:
    """The constant arithmetic on an input before anything else; None if there is none, or if something else reads the input too.

    `first` is (scale, offset) after the first multiplication or division and an addition directly behind it.
    """
    import numpy as np

    kinds: list[str] = []
    scale: Array = np.ones(())
    offset: Array = np.zeros(())
    first: tuple[Any, Any] = (scale, offset)
    aligned, seen = True, {name}
    while len(kinds) < _MAX_FOLDED:
        steps = [step for step in graph.readers(name) if step.kind not in ("shape", "equal", "order")]
        if len(steps) != 1:
            break
        step = steps[0]
        if step.output in seen:
            break
        seen.add(step.output)
        if step.kind in ("same", "moved"):
            aligned = aligned and step.kind == "same"
            name = step.output
            continue
        constant = graph.constant(_other(step, name)) if step.kind in ("mul", "div", "add", "sub") else None
        behind = step.inputs[0] != name  # constant - value, constant / value
        if constant is None or (step.kind == "div" and behind):
            break
        number = np.asarray(constant, np.float64)
        if step.kind in ("mul", "div"):
            factor = number if step.kind == "mul" else _quotient(np.ones(()), number)
            scale, offset = scale * factor, offset * factor
        elif step.kind == "sub" and behind:
            scale, offset = -scale, number - offset
        else:
            offset = offset + (number if step.kind == "add" else -number)
        kinds.append("from" if behind and step.kind == "sub" else step.kind)
        if len(kinds) == 1 or (len(kinds) == 2 and kinds[0] in ("mul", "div") and kinds[1] in ("add", "sub")):
            first = (scale, offset)
        name = step.output
    return Affine(tuple(kinds), np.asarray(scale), np.asarray(offset), first, aligned) if kinds else None
