"""What layers return while a network runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from edgewright.compress.pytorch.weights import Call, names, watch

if TYPE_CHECKING:
    from edgewright.compress.pytorch.body import Body


class LayerOutputs:
    """The outputs of some layers: modules, by their paths. A program has no modules: there, layers with weights, by their parameters.

    Attributes:
        found: layer -> what each of its calls returned, in order.
    """

    def __init__(self, body: Body, layers: Sequence[str]) -> None:
        self.found: dict[str, list[Any]] = {name: [] for name in layers}
        self._body = body

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Notes the outputs while the context lasts."""
        if not self.found:
            yield
        elif self._body.program:
            with self._of_functions():
                yield
        else:
            with self._of_modules():
                yield

    def joined(self) -> list[Any]:
        """Of each layer, one tensor for all samples, also if each sample ran alone."""
        import torch

        return [torch.cat(parts) if len(parts) > 1 else parts[0] for parts in self.found.values()]

    @contextmanager
    def _of_modules(self) -> Iterator[None]:
        hooks = [
            self._body.flat.inner.get_submodule(name).register_forward_hook(
                lambda _module, _given, answer, name=name: self._note(name, answer)
            )
            for name in self.found
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _of_functions(self) -> Any:
        layers = names(self._body)

        def visit(call: Call) -> None:
            if (name := layers.get(id(call.weight), "")) in self.found:
                self._note(name, call.answer)

        return watch(visit)

    def _note(self, name: str, answer: Any) -> None:
        """Keeps a copy: what follows may write over a layer's output."""
        import torch

        if isinstance(answer, torch.Tensor):
            with torch._C.DisableTorchFunction():  # the copy is no call of the network's
                answer = answer.clone()
        self.found[name].append(answer)


def inner_layers(body: Body, weighted: Sequence[str]) -> dict[str, str]:
    """Implements `Network.inner_layers`."""
    import torch

    modules = [name for name, _ in body.flat.inner.named_modules() if name]
    outputs, count = LayerOutputs(body, weighted if body.program else modules), 1 if body.one_by_one else 3
    with torch.no_grad(), outputs.watched():
        body.flat(*body.samples(count))
    return {name: _obstacle(answers, count) for name, answers in outputs.found.items()}


def _obstacle(answers: Sequence[Any], count: int) -> str:
    import torch

    if len(answers) != 1:
        return f"it runs {len(answers)} times" if answers else "it does not run"
    if not isinstance(answers[0], torch.Tensor):
        return "it returns several tensors"
    fits = answers[0].is_floating_point() and answers[0].ndim and len(answers[0]) == count
    return "" if fits else "its output is not numbers for each sample"
