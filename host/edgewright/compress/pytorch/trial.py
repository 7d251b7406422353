"""Proves that a removal of channels does what it should, on a copy with random weights.

torch-pruning treats operations that it does not know as element-wise, so what it removes may be wrong. Without the channels, a module
must compute what it computed when the weights that take these channels were zero. (Channels that are zero themselves are no such
reference: a function of zero may be another number.) Whether that holds does not depend on the weights, so random ones are used:
channels that training or a mask made zero would prove nothing.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgewright.compile.workers.framework_errors import described, position
from edgewright.compress.pytorch.body import Body
from edgewright.compress.pytorch.groups import UNFOLLOWED, Dependencies
from edgewright.compress.pytorch.module_copy import copied

_EXACT, _ROUGH = 1e-9, 1e-4  # differences relative to the largest output, in float64 and float32


@dataclass(frozen=True)
class Cut:
    """Channels of a root layer to remove, numbered as before any removal; all layers that lose some."""

    root: str
    channels: tuple[int, ...]
    layers: tuple[str, ...]


def failures(body: Body, cuts: Sequence[Cut]) -> dict[str, str]:
    """Root -> why its channels stay, for those of the cuts that cannot be made."""
    trial = _Trial(body, takes_double(body))
    if not trial.fault_of_all(cuts):
        return {}
    failed = _Trial(body, double=False).faults_alone(cuts)  # convolutions in float64 are many times slower
    if not trial.fault_of_all([cut for cut in cuts if cut.root not in failed]):
        return failed
    while found := trial.first_fault([cut for cut in cuts if cut.root not in failed]):
        failed[found[0]] = found[1]
    return failed


def apply(dependencies: Dependencies, cuts: Iterable[Cut]) -> None:
    """Removes channels of several groups."""
    numbering = _Numbering()
    for cut in cuts:
        dependencies.removal(cut.root, numbering.now(cut)).prune()


def takes_double(body: Body) -> bool:
    """Whether the module computes in float64, where a difference of rounding cannot hide one of meaning."""
    import torch

    flat = copied(body)
    flat.double()
    try:
        with torch.no_grad():
            answers = flat(*_double(body.samples(1)))
    except Exception:  # noqa: BLE001 - code that names a dtype may raise anything
        return False
    return all(answer.dtype == torch.float64 for answer in answers if answer.is_floating_point())


class _Numbering:
    """Channels of layers that have lost some already."""

    def __init__(self) -> None:
        self._gone: dict[str, list[int]] = {}

    def now(self, cut: Cut) -> list[int]:
        before = sorted(self._gone.get(cut.root, ()))
        self._gone.setdefault(cut.root, []).extend(cut.channels)
        return [channel - bisect.bisect_left(before, channel) for channel in cut.channels]


@dataclass
class _Trial:
    """Tries cuts on copies.

    Attributes:
        proved: roots of cuts that were right, in the order of the cuts.
    """

    body: Body
    double: bool
    proved: set[str] = field(default_factory=set)

    def fault_of_all(self, cuts: Sequence[Cut]) -> str:
        """What is wrong with all cuts together; empty if nothing is."""
        dependencies, example = self._copy()
        try:
            for cut in cuts:
                _silence(dependencies, dependencies.removal(cut.root, cut.channels))
            wanted = _answers(dependencies, example)
            apply(dependencies, cuts)
            found = _answers(dependencies, example)
        except Exception as error:  # noqa: BLE001 - torch-pruning and the user's code may raise anything
            return described(error)
        return self._difference(wanted, found)

    def faults_alone(self, cuts: Sequence[Cut]) -> dict[str, str]:
        """Root -> what is wrong with a cut if it is the only one. One graph serves all: each cut is undone."""
        dependencies, example = self._copy()
        found = {}
        for cut in cuts:
            try:
                removal = dependencies.removal(cut.root, cut.channels)
            except Exception as error:  # noqa: BLE001 - as below
                found[cut.root] = f"{UNFOLLOWED}: {described(error)}"
                continue
            undo = _Undo(dependencies, removal)
            if reason := self._fault(dependencies, example, cut, list(cut.channels)):
                found[cut.root] = reason
            undo.run()
        return found

    def first_fault(self, cuts: Sequence[Cut]) -> tuple[str, str] | None:
        """The root of the first cut that is wrong, and why."""
        dependencies, example = self._copy()
        numbering = _Numbering()
        for cut in cuts:
            if reason := self._fault(dependencies, example, cut, numbering.now(cut)):
                return cut.root, reason
            self.proved.add(cut.root)
        return None

    def _fault(self, dependencies: Dependencies, example: Sequence[Any], cut: Cut, now: list[int]) -> str:
        proved = cut.root in self.proved  # on an earlier copy
        try:
            removal = dependencies.removal(cut.root, now)
            _silence(dependencies, removal)
            wanted = () if proved else _answers(dependencies, example)
            removal.prune()
        except Exception as error:  # noqa: BLE001 - torch-pruning raises anything on operations that it misjudges
            return f"{UNFOLLOWED}: {described(error)}"
        try:
            found = () if proved else _answers(dependencies, example)
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything
            return f"the module does not run with fewer channels: {described(error)}{position(error)}"
        return self._difference(wanted, found)

    def _difference(self, wanted: Sequence[Any], found: Sequence[Any]) -> str:
        for one, other in zip(wanted, found, strict=True):
            limit = (_EXACT if self.double else _ROUGH) * max(1e-30, float(one.abs().max()))
            if one.shape != other.shape or not float((one - other).abs().max()) <= limit:
                return "what the module computes from its channels depends on how many there are"
        return ""

    def _copy(self) -> tuple[Dependencies, tuple[Any, ...]]:
        flat = copied(self.body)
        example = self.body.samples(2)
        if self.double:
            flat.double()
            example = _double(example)
        _randomise(flat, example)
        one = tuple(tensor[:1] for tensor in example)
        return Dependencies(flat, one), one


class _Undo:
    """Puts back what a removal changes: layers, and torch-pruning's records of operations."""

    def __init__(self, dependencies: Dependencies, removal: Any) -> None:
        self._weights = [(weight, weight.detach().clone()) for weight, *_ in dependencies.consumers(removal)]
        changed = {id(dep.target.module): dep.target.module for dep, _ in removal}
        self._attributes = [
            (one, {name: _shallow(value) for name, value in vars(one).items()}) for one in changed.values()
        ]

    def run(self) -> None:
        import torch

        for one, attributes in self._attributes:
            vars(one).clear()
            vars(one).update(attributes)
        with torch.no_grad():
            for weight, values in self._weights:
                weight.copy_(values)


def _shallow(value: Any) -> Any:
    return value.copy() if type(value) in (list, dict) else value


def _answers(dependencies: Dependencies, example: Sequence[Any]) -> tuple[Any, ...]:
    import torch

    with torch.no_grad():
        return tuple(answer.double() for answer in dependencies.flat(*example) if answer.is_floating_point())


def _silence(dependencies: Dependencies, removal: Any) -> None:
    """Sets the weights that take the channels to zero."""
    import torch

    with torch.no_grad():
        for weight, axis, indexes in dependencies.consumers(removal):
            weight.index_fill_(axis, torch.tensor(indexes, dtype=torch.int64), 0)


def _double(tensors: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(tensor.double() if tensor.is_floating_point() else tensor for tensor in tensors)


def _randomise(flat: Any, example: Sequence[Any]) -> None:
    """Random weights that keep the size of what passes through; batch normalisation has the statistics that they give."""
    import torch

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in flat.parameters():
            if tensor.is_floating_point():
                inputs = tensor[0].numel() if tensor.ndim > 1 else 1
                values = torch.randn(tensor.shape, generator=generator) * (2 / inputs) ** 0.5
                tensor.copy_(values if tensor.ndim > 1 else values.abs() + 0.1)
        norms = [one for one in flat.modules() if isinstance(one, torch.nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.momentum, norm.training = 1.0, True
        try:
            flat(*example)
        except ValueError:  # one number per channel has no variance: the statistics stay as they are
            pass
        for norm in norms:
            norm.training = False
