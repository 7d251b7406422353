"""Groups of channels that can only be removed together, found by torch-pruning (Fang et al., "DepGraph: Towards Any Structural Pruning", 2023)."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgewright.compile.workers.framework_errors import described
from edgewright.compress.pytorch.weights import Weights
from edgewright.errors import Code, ConversionError

UNFOLLOWED = "torch-pruning cannot follow its channels"


@dataclass(frozen=True)
class Member:
    """A layer whose output channels belong to a group: `channels[i]` goes with the root's channel `roots[i]`."""

    layer: str
    channels: tuple[int, ...]
    roots: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Channels of a root layer, and what is removed with them.

    Attributes:
        channels: of the root.
        reason: why none may be removed; empty if some may.
    """

    root: str
    channels: tuple[int, ...]
    members: tuple[Member, ...]
    reason: str


class Dependencies:
    """torch-pruning's graph of a module, which is changed when channels are removed."""

    def __init__(self, flat: Any, example: Sequence[Any]) -> None:
        import torch_pruning

        self.flat = flat
        self.modules = dict(flat.inner.named_modules())
        self._names = {module: name for name, module in self.modules.items()}
        self._ends: list[Any] = []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.graph = torch_pruning.DependencyGraph().build_dependency(
                    flat, tuple(example), output_transform=self._note_ends, verbose=False
                )
        except Exception as error:
            raise ConversionError(
                f"torch-pruning cannot follow the module: {described(error)}",
                hint="leave channel pruning out of the recipe; pruning of single weights works on any network",
                code=Code.CONVERSION_FAILED,
            ) from error

    def _note_ends(self, outputs: Any) -> Any:
        """Outputs that are computed from weights; a copy of an input has no gradient, and torch-pruning fails on it."""
        found = [output for output in outputs if output.grad_fn is not None]
        self._ends = [output.grad_fn for output in found]
        return found

    def removal(self, root: str, channels: Sequence[int]) -> Any:
        """torch-pruning's group for some channels of a layer."""
        module = self.modules[root]
        pruner = self.graph.get_pruner_of_module(module)
        return self.graph.get_pruning_group(module, pruner.prune_out_channels, list(channels))

    def consumers(self, removal: Any) -> list[tuple[Any, int, list[int]]]:
        """Weights that take the removed channels as inputs: parameter, axis, indexes."""
        import torch

        found = []
        for dep, indexes in removal:
            module = dep.target.module
            if _is_weighted(module) and self._takes(dep.handler) and not self._makes(dep.handler):
                transposed = not isinstance(module, torch.nn.Linear) and module.transposed
                found.append((module.weight, 0 if transposed else 1, list(indexes)))
        return found

    def groups(self, weights: Mapping[str, Weights], protect: Collection[str]) -> list[Group]:
        """All groups, in the order in which their roots run. Channels that concatenations tie together are in one group each."""
        made: dict[str, set[int]] = {}
        found = []
        for root, layer in weights.items():
            module = self.modules.get(root)
            if layer.spec.kind == "depthwise" or module not in self.graph.module2node:
                continue
            every = range(_channels(module)) if _is_weighted(module) else range(0)
            left = [channel for channel in every if channel not in made.get(root, ())]
            if not left:
                continue
            try:
                removal = self.removal(root, left)
                tied = self._tied(root, left[0])
            except Exception as error:  # noqa: BLE001 - torch-pruning raises anything on operations that it misjudges
                made.setdefault(root, set()).update(left)
                whole = Member(root, tuple(left), tuple(left))
                found.append(Group(root, tuple(left), (whole,), f"{UNFOLLOWED}: {described(error)}"))
                continue
            members = self._members(removal)
            for member in members:
                made.setdefault(member.layer, set()).update(member.channels)
            reason = self._reason(removal, members, weights, protect) or tied
            found.append(Group(root, tuple(left), members, reason))
        return found

    def _members(self, removal: Any) -> tuple[Member, ...]:
        return tuple(
            Member(self._names[item.dep.target.module], tuple(item.idxs), tuple(item.root_idxs))
            for item in removal.items
            if _is_weighted(item.dep.target.module) and self._makes(item.dep.handler)
        )

    def _makes(self, handler: Any) -> bool:
        return bool(self.graph.is_out_channel_pruning_fn(handler))

    def _takes(self, handler: Any) -> bool:
        return bool(self.graph.is_in_channel_pruning_fn(handler))

    def _tied(self, root: str, channel: int) -> str:
        """A reason if removing one channel removes others of the same layer, as behind a gate that multiplies one half by the other."""
        if any(len(member.channels) > 1 for member in self._members(self.removal(root, [channel]))):
            return "its channels depend on each other: they are split, shuffled or reshaped"
        return ""

    def _reason(
        self,
        removal: Any,
        members: Sequence[Member],
        weights: Mapping[str, Weights],
        protect: Collection[str],
    ) -> str:
        for member in members:
            if member.layer in protect:
                return (
                    "the recipe protects it" if len(members) == 1 else f"the recipe protects {member.layer}"
                )
            if member.layer not in weights:
                return f"its channels are those of {member.layer}, whose weights are computed or belong to another layer"
        for dep, _ in removal:
            node = dep.target
            if _is_weighted(node.module) and not self._makes(dep.handler):
                if why := self._unsafe(node.module, weights):
                    return why
                continue  # it takes the channels: what it makes is its own
            if node.type == self.graph.ops.OPTYPE.OUTPUT or any(node.grad_fn is end for end in self._ends):
                return "its channels are an output of the network"
            if why := self._unsafe(node.module, weights):
                return why
        return ""

    def _unsafe(self, module: Any, weights: Mapping[str, Weights]) -> str:
        """Why channels that this module makes, takes or passes on stay."""
        import torch

        nn = torch.nn
        if isinstance(module, nn.Parameter):
            name = self.graph._param_to_name.get(module, "").removeprefix("inner.")
            return f"its channels meet the parameter {name}, whose use is unknown"
        name = self._names.get(module, "")
        if isinstance(module, nn.MultiheadAttention):
            return f"its channels belong to the attention {name}, whose heads have a fixed size"
        if isinstance(module, nn.RNNBase | nn.RNNCellBase):
            return f"its channels belong to the recurrent layer {name}"
        if isinstance(module, nn.LayerNorm | nn.GroupNorm):
            return f"{name} ({type(module).__name__}) normalises several channels together"
        if not _is_weighted(module):
            return ""
        if name in weights and weights[name].calls > 1:
            return f"{name} is used {weights[name].calls} times"
        if not isinstance(module._parameters.get("weight"), nn.Parameter):
            return f"the weights of {name} are computed"
        if self._shared(module):
            return f"{name} shares its weights with another layer"
        if not isinstance(module, nn.Linear) and module.groups > 1 and not _is_depthwise(module):
            return f"{name} is a grouped convolution"
        return ""

    def _shared(self, module: Any) -> bool:
        holders = {
            id(other)
            for other in self.modules.values()
            for parameter in other._parameters.values()
            if parameter is not None and (parameter is module.weight or parameter is module.bias)
        }
        return len(holders) > 1


def _is_weighted(module: Any) -> bool:
    import torch

    return isinstance(module, torch.nn.modules.conv._ConvNd | torch.nn.Linear)


def _is_depthwise(module: Any) -> bool:
    return bool(module.groups == module.in_channels == module.out_channels)


def _channels(module: Any) -> int:
    return int(getattr(module, "out_channels", None) or module.out_features)
