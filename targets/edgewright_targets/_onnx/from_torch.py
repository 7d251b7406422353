"""Exports a PyTorch module or program to fp32 ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgewright_targets._onnx.files import save
from edgewright_targets._onnx.rename_ends import rename
from edgewright_targets._onnx.widen_floats import widened

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import ModelProto
    from torch import Tensor

    from edgewright.sdk import StageContext, StageResult, TensorSpec


_TRACED = (
    13,
    14,
    17,
)  # opsets that the tracing exporter really writes; attention needs 14, newer operators 17
_DYNAMO = 18  # the lowest opset that the dynamo exporter writes, whatever is requested


def convert(work: StageContext) -> StageResult:
    """Exports at the lowest possible opset from `work.opset` up to `work.max_opset`.

    Raises:
        ConversionError: no exporter can, or not within `max_opset`.
    """
    import traceback

    from edgewright.sdk import Code, ConversionError
    from edgewright.sdk.failures import telling

    failed = []
    for opset in _candidates(work.opset, work.max_opset):
        try:
            model, branches = (_dynamo(work, opset), False) if opset >= _DYNAMO else _traced(work, opset)
        except Exception as error:  # noqa: BLE001 - exporters raise anything; the next opset may do
            traceback.print_exc()
            failed.append((opset, telling(error)))
            continue
        _check(model, work)
        rename(model, [spec.name for spec in work.inputs], [spec.name for spec in work.outputs])
        model, notes = widened(model, work)
        save(model, work.folder / work.entry)
        return {"notes": [*notes, *(_fixed_branch(work) if branches else [])]}
    capped = work.max_opset is not None and work.max_opset < _DYNAMO
    raise ConversionError(
        f"torch cannot export the module to ONNX: {_tried(failed)}",
        hint=f"the board's runtime reads opset {work.max_opset} at most; give it a newer one, or change the operator"
        if capped
        else "change the operator that the exporter names",
        code=Code.OPSET_TOO_NEW if capped else Code.CONVERSION_FAILED,
    )


def _tried(failed: list[tuple[int, str]]) -> str:
    """The errors by opset; opsets with the same error are grouped."""
    alike: dict[str, list[str]] = {}
    for opset, said in failed:
        alike.setdefault(said.replace(f" opset version {opset}", ""), []).append(str(opset))
    return "; ".join(f"opset {', '.join(opsets)}: {said}" for said, opsets in alike.items())


def _candidates(first: int, most: int | None) -> list[int]:
    """Opsets to try, in order."""
    known = sorted({first, *_TRACED, _DYNAMO})
    return [one for one in known if one >= first and (most is None or one <= most)] or [
        min(first, first if most is None else most)
    ]


def _traced(work: StageContext, opset: int) -> tuple[ModelProto, bool]:
    import warnings

    import torch

    """(the model, whether its code asked for the truth of a tensor)."""
    place = work.folder / "traced.onnx"
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it is a single operator that no opset has
    try:
        with warnings.catch_warnings(record=True) as seen, torch.no_grad():
            # it is deprecated, but nothing else writes old opsets
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", torch.jit.TracerWarning)
            torch.onnx.export(
                work.source.module,
                _examples(work),
                str(place),
                input_names=_places("in", work.inputs),
                output_names=_places("out", work.outputs),
                opset_version=opset,
                dynamo=False,
                # it is in eval mode, and an exported program's module has no other mode
                training=torch.onnx.TrainingMode.PRESERVE,
            )
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return _taken(place), any("Python boolean" in str(one.message) for one in seen)


def _fixed_branch(work: StageContext) -> list[str]:
    """A note if the code branches on tensor values: a trace contains only one branch. Branching on static shapes is fine."""
    from edgewright.sdk import ConversionError
    from edgewright.sdk.failures import branching, position

    try:
        work.source.program  # noqa: B018 - torch.export knows which it is
    except ConversionError as error:
        cause = error.__cause__
        if cause is not None and branching(cause):
            place = position(cause).removeprefix(", at ") or "its code"
            return [
                f"{place} branches on a tensor's value: the artifact always takes the branch of the example"
            ]
    return []


def _dynamo(work: StageContext, opset: int) -> ModelProto:
    import torch

    place = work.folder / "exported.onnx"
    program = torch.onnx.export(
        work.source.program,
        input_names=_places("in", work.inputs),
        output_names=_places("out", work.outputs),
        opset_version=opset,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    program.save(str(place))
    return _taken(place)


def _places(kind: str, specs: Sequence[TensorSpec]) -> list[str]:
    """Names for the exporters, which do not accept every name that a source may have."""
    return [f"edgewright_{kind}_{index}" for index in range(len(specs))]


def _examples(work: StageContext) -> tuple[Tensor, ...]:
    import torch

    # copied, as data from a file are read-only and torch warns of such arrays
    return tuple(torch.from_numpy(array.copy()) for array in next(work.samples(1)))


def _taken(place: Path) -> ModelProto:
    import onnx

    model = onnx.load(str(place))
    place.unlink()
    return model


def _check(model: ModelProto, work: StageContext) -> None:
    """Checks that the names are those of the source: the exporters drop inputs that nothing reads."""
    from edgewright.sdk import Code, ConversionError

    weights = {item.name for item in model.graph.initializer}
    found = [item.name for item in model.graph.input if item.name not in weights]
    wanted = _places("in", work.inputs)
    if found != wanted or len(model.graph.output) != len(work.outputs):
        lost = [spec.name for spec, name in zip(work.inputs, wanted, strict=True) if name not in found]
        raise ConversionError(
            f"torch exported other inputs or outputs than the module has: {', '.join(lost) or 'outputs'}",
            hint="an input that nothing reads is dropped; remove it from the module",
            code=Code.CONVERSION_FAILED,
        )
