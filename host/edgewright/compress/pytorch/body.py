"""Body: a PyTorch network that runs on any number of samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgewright.compile.sources.torch import TorchModel
from edgewright.compile.workers.framework_errors import described, position
from edgewright.compress.pytorch.layer_outputs import LayerOutputs
from edgewright.compress.pytorch.simulation import Simulation
from edgewright.errors import Code, DataError, ModelError
from edgewright.nouns.artifact import TensorSpec

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_BATCH = "let its code take any batch: x.flatten(1) instead of x.view(1, -1), x.shape[0] instead of a number"
_EXPORT = "export it with a batch of 1 or with an open batch: dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)"


class Body:
    """A module and the way to run it.

    Attributes:
        flat: `TorchModel.module`: takes a tensor per input, returns a tuple of tensors. Its `inner` is the user's module.
        inputs: of one sample: the first axis, the batch, is 1.
        program: it is a torch.export program, which always computes as in inference: batch normalisation is frozen.
        one_by_one: a program that takes one sample only; it is run once per sample.
        simulation: of int8; its `run` then replaces `flat`.
    """

    def __init__(self, model: TorchModel, *, program: bool) -> None:
        self.flat = model.module
        self.example = tuple(model.example)
        self.names = tuple(spec.name for spec in model.inputs), tuple(model.output_names)
        self.inputs = tuple(_single(spec) for spec in model.inputs)
        self.program = program
        self.one_by_one = False
        self.simulation: Simulation | None = None
        self._check_batch()

    def run(self, tensors: Sequence[Any], layers: Sequence[str] = ()) -> tuple[Any, ...]:
        """All outputs for a batch, then those of layers."""
        import torch

        inside = LayerOutputs(self, layers)

        def call(*given: Any) -> tuple[Any, ...]:
            if self.simulation is not None:
                return self.simulation.run(*given, inside=inside)
            with inside.watched():
                return tuple(self.flat(*given))

        if not self.one_by_one:
            return (*call(*tensors), *inside.joined())
        count = len(tensors[0])
        answers = [call(*(tensor[at : at + 1] for tensor in tensors)) for at in range(count)]
        return (*(torch.cat(parts) for parts in zip(*answers, strict=True)), *inside.joined())

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Training mode while the context lasts. A program has none."""
        if self.program:
            yield
            return
        self.flat.train()
        try:
            yield
        finally:
            self.flat.eval()

    def samples(self, count: int) -> tuple[Any, ...]:
        """The example's first sample, followed by others: random numbers for float inputs, the example's for the rest."""
        import torch

        generator = torch.Generator().manual_seed(0)
        made = []
        for tensor in self.example:
            one = tensor[:1]
            batch = one.repeat(count, *[1] * (one.ndim - 1))
            if batch.is_floating_point():
                noise = torch.randn(batch.shape, generator=generator).to(batch.dtype)
                batch = torch.cat([one, noise[1:]])
            made.append(batch)
        return tuple(made)

    def tensors(self, inputs: Sequence[Array]) -> tuple[Any, ...]:
        """The samples as tensors of the inputs' dtypes.

        Raises:
            DataError: an input is missing or has another shape.
        """
        import numpy as np
        import torch

        if len(inputs) != len(self.inputs):
            raise DataError(f"the network has {len(self.inputs)} inputs but the data {len(inputs)}")
        for spec, array in zip(self.inputs, inputs, strict=True):
            if tuple(array.shape[1:]) != spec.shape[1:]:
                raise DataError(
                    f"samples of shape {tuple(array.shape[1:])} do not fit input {spec.name} {spec.shape[1:]}"
                )
        if len({len(array) for array in inputs}) > 1:
            raise DataError(f"inputs have different numbers of samples: {[len(array) for array in inputs]}")
        return tuple(
            torch.from_numpy(np.array(array, dtype=spec.dtype))
            for spec, array in zip(self.inputs, inputs, strict=True)
        )

    def _check_batch(self) -> None:
        """Sets `one_by_one`. Raises ModelError for a network that cannot take batches."""
        fault = self._batch_fault()
        if fault and self.program and all(tensor.shape[0] == 1 for tensor in self.example):
            self.one_by_one = _is_recurrent(self.flat.inner)
            if not self.one_by_one:
                _drop_guards(self.flat.inner)
                self.one_by_one = bool(self._batch_fault())
            fault = self._batch_fault() if self.one_by_one else ""
        if fault:
            raise ModelError(
                f"the network does not run on a batch of samples: {fault}",
                hint=_EXPORT if self.program else _BATCH,
                code=Code.SHAPE_VARIES,
            )

    def _batch_fault(self) -> str:
        """What goes wrong with three samples at once rather than each alone; empty if nothing does."""
        import torch

        batch = self.samples(3)
        try:
            with torch.no_grad():
                together = self.run(batch)
                alone = [self.run(tuple(tensor[at : at + 1] for tensor in batch)) for at in range(3)]
        except Exception as error:  # noqa: BLE001 - the user's code may raise anything
            return f"{described(error)}{position(error)}"
        for name, all_three, parts in zip(self.names[1], together, zip(*alone, strict=True), strict=True):
            if all_three.ndim == 0 or len(all_three) != 3 or all_three[:1].shape != parts[0].shape:
                return f"output {name} has shape {tuple(all_three.shape)} for 3 samples"
            if not torch.allclose(all_three.float(), torch.cat(parts).float(), 1e-3, 1e-4, equal_nan=True):
                return f"output {name} of a sample depends on the others in its batch"
        return ""


def _single(spec: TensorSpec) -> TensorSpec:
    if not spec.shape:
        raise ModelError(
            f"input {spec.name} has no axes, so samples cannot be stacked", hint="give it a batch axis"
        )
    return TensorSpec(name=spec.name, shape=(1, *spec.shape[1:]), dtype=spec.dtype)


def _is_recurrent(graph: Any) -> bool:
    """Whether it has operators that crash, rather than raise, when their state is of another batch than their input."""
    names = (getattr(node.target, "_opname", "") for node in graph.graph.nodes)
    return any(word in name for name in names for word in ("lstm", "gru", "rnn"))


def _drop_guards(graph: Any) -> None:
    """Removes the check of input shapes: most graphs take any batch, though exported with one sample."""
    for node in list(graph.graph.nodes):
        if node.op == "call_module" and node.target == "_guards_fn":
            graph.graph.erase_node(node)
    graph.recompile()
