"""Explains a conversion: operators before and after, fusion, and the arithmetic of each layer."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgewright import targets
from edgewright.compile.formats import FORMATS, folder_of, stage_module, target_for
from edgewright.compile.graph import operations
from edgewright.compile.graph.float_groups import FloatGroup, Keepable, groups
from edgewright.compile.graph.operations import Operation
from edgewright.compile.request import CompileRequest, sample_set
from edgewright.compile.steps import steps_of
from edgewright.compile.tasks.source import Order, SourceRef, opened
from edgewright.compile.workers import scratch
from edgewright.compile.workers.pool import Workers
from edgewright.errors import Code, ConversionError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.base import Noun
from edgewright.nouns.target import LayerReader, Target
from edgewright.precisions import MIXED


class Group(Noun, frozen=True, kw_only=True):
    """Operators in a row, such as Conv, BatchNormalization, Relu, and how often they stand so."""

    pattern: tuple[str, ...]
    count: int


class Element(Noun, frozen=True, kw_only=True):
    """Operators that can be folded into a layer, and how many still stand by themselves.

    Attributes:
        kind: `batch normalisation` or `activation`.
        source: how many follow a layer in the source.
        file: how many do so in the shipped file.
        runtime: how many do so in what the runtime executes; None: it cannot be asked here.
    """

    kind: str
    source: int
    file: int
    runtime: int | None


class Layer(Noun, frozen=True, kw_only=True):
    """A convolution or a dense layer of the shipped file. `arithmetic` as the file, or better the runtime, has it."""

    name: str
    operator: str
    arithmetic: str


class Explanation(Noun, frozen=True, kw_only=True):
    """What became of a model.

    Attributes:
        source, file, runtime: operator -> how many; `runtime` None where it cannot be asked.
        chains: layers of the source with what follows them.
        fused: operators that have taken others in, in what the runtime executes, or else in the file.
        layers: convolutions and dense layers as shipped.
        kept_float: names that were to stay in floats and did.
        notes: the manifest's, and what is to be known of the target's own fusion.
    """

    source: dict[str, int]
    file: dict[str, int]
    runtime: dict[str, int] | None
    chains: tuple[Group, ...]
    elements: tuple[Element, ...]
    fused: tuple[Group, ...]
    layers: tuple[Layer, ...]
    route: tuple[str, ...]
    kept_float: tuple[str, ...]
    notes: tuple[str, ...]


def explain(request: CompileRequest, artifact: Artifact, workers: Workers) -> Explanation:
    """Reads the source and the artifact, each in the worker of its framework.

    Args:
        request: what the artifact was made from.

    Raises:
        ModelError, ConversionError: one of them cannot be read.
    """
    manifest = artifact.manifest
    ref = _ref(request, artifact)
    here = __name__
    source = workers.call(FORMATS[ref.format].framework, here, "read_the_source", source=ref)
    target, reader = _reader(manifest.target)
    module = targets.module_name(reader.module)
    entry = artifact.folder / manifest.entry
    file, runtime = workers.call(target.framework, here, "read_the_artifact", module=module, path=entry)
    return _explained(source, file, runtime, artifact, (*manifest.notes, *reader.notes))


def _reader(name: str) -> tuple[Target, LayerReader]:
    """A target, and how layers of its artifacts are read.

    Raises:
        ConversionError: it does not say.
    """
    target = targets.load(name)
    if target.layers is None:
        raise ConversionError(
            f"{target.title} has no reader of layers: {name}",
            hint="leave --explain and --fallback out for this target",
            code=Code.LAYERS_UNREAD,
        )
    return target, target.layers


def names_to_keep(request: CompileRequest, artifact: Artifact, workers: Workers) -> tuple[str, ...]:
    """The layers of `to_keep`."""
    return to_keep(request, artifact, workers).layers


def to_keep(request: CompileRequest, artifact: Artifact, workers: Workers) -> Keepable:
    """What can be kept in floats.

    Args:
        artifact: the request's, in fp32.
    """
    target, reader = _reader(artifact.manifest.target)
    kind = artifact.manifest.source.format
    stage = reader.named_by_stage.get(kind)
    if kind in reader.named_by_source:
        source = _ref(request, artifact)
        layers, rows = workers.call(FORMATS[kind].framework, __name__, "names_in_the_source", source=source)
        return Keepable(layers=tuple(layers), groups=_new(groups(rows), reader))
    if stage is not None:
        rows = _named_by(stage, request, artifact, workers)
    else:
        entry = artifact.folder / artifact.manifest.entry
        module = targets.module_name(reader.module)
        rows, _ = workers.call(
            target.framework, __name__, "read_the_artifact", module=module, path=entry, run=False
        )
    found = groups(rows, products=reader.masked_products)
    return Keepable(layers=tuple(layer.name for layer in _layers(rows, None)), groups=_new(found, reader))


def _new(found: Sequence[FloatGroup], reader: LayerReader) -> tuple[FloatGroup, ...]:
    """The groups that int8 does not leave in floats by itself."""
    return tuple(group for group in found if group.kind not in reader.float_by_default)


def names_in_the_source(source: SourceRef) -> tuple[list[str], list[Operation]]:
    """(names of the source's layers, its graph), as its framework has them. Runs in its worker."""
    layers = FORMATS[source.format].layers
    assert layers is not None  # noqa: S101 - a target that goes by the source's names lists formats that have some
    names, graph = layers(opened(source))
    return names, _converted(graph)


def _named_by(stage: str, request: CompileRequest, artifact: Artifact, workers: Workers) -> list[Operation]:
    """Goes the way that a model takes of which layers are kept in floats, with `stage` in the place of the last one."""
    manifest, source = artifact.manifest, _ref(request, artifact)
    target = target_for(manifest.target, source.format)
    *before, (last, _) = target.routes[source.format].stages
    conversion = msgspec.structs.replace(request.model.conversion, keep_float=("*",))
    known = workers.call(
        FORMATS[source.format].framework, "edgewright.compile.tasks.source", "input_domains", source=source
    )
    with scratch.folder() as place:
        path, said = source.path, {}
        route = [*before, (last, stage)]
        for index, (framework, module) in enumerate(route):
            folder = place / str(index)
            folder.mkdir()
            said = workers.call(
                framework,
                "edgewright.compile.tasks.source",
                "convert",
                module=stage_module(source.format, module),
                source=source,
                open_source=framework == FORMATS[source.format].framework,
                samples=sample_set(request.model).of(manifest.inputs, known),
                order=Order(
                    path=path,
                    folder=folder,
                    entry=manifest.entry,
                    precision=MIXED.name,
                    inputs=manifest.inputs,
                    outputs=manifest.outputs,
                    opset=request.opset,
                    max_opset=min(filter(None, (request.max_opset, target.max_opset)), default=None),
                    count=0,
                    conversion=conversion,
                    steps=steps_of(target.name, route) if index == len(before) else (),
                ),
            )
            produced = folder / manifest.entry
            path = produced if produced.is_file() else folder
    return _converted(said["operations"])


def _ref(request: CompileRequest, artifact: Artifact) -> SourceRef:
    return SourceRef(
        path=folder_of(request.model.source.absolute()),
        format=artifact.manifest.source.format,
        shapes=tuple(sorted(request.model.shapes.items())),
        ends=request.model.conversion.ends,
    )


def read_the_source(source: SourceRef) -> list[Operation]:
    """Operations of the source, none where its format cannot list them. Runs in its worker."""
    describe = FORMATS[source.format].describe
    return [] if describe is None else _converted(describe(opened(source), source.path))


def read_the_artifact(
    module: str, path: Path, run: bool = True
) -> tuple[list[Operation], list[Operation] | None]:
    """(operations of the shipped file, those that the runtime executes or None). Runs in the target's worker."""
    reader = importlib.import_module(module)
    executed = reader.executed(path) if run else None
    return _converted(reader.shipped(path)), None if executed is None else _converted(executed)


def _converted(rows: Iterable[dict[str, Any]]) -> list[Operation]:
    return [msgspec.convert(row, Operation) for row in rows]


def _explained(
    source: Sequence[Operation],
    file: Sequence[Operation],
    runtime: Sequence[Operation] | None,
    artifact: Artifact,
    notes: tuple[str, ...],
) -> Explanation:
    manifest = artifact.manifest
    chains = operations.chains(source)
    return Explanation(
        source=_counted(source),
        file=_counted(file),
        runtime=None if runtime is None else _counted(runtime),
        chains=_grouped(
            tuple(name for item in chain for name in (item.operator, *item.absorbed)) for chain in chains
        ),
        elements=_elements(source, file, runtime),
        fused=_grouped(
            (item.operator, *item.absorbed)
            for item in (file if runtime is None else runtime)
            if item.absorbed and operations.is_layer(item)
        ),
        layers=_layers(file, runtime),
        route=manifest.route,
        kept_float=manifest.kept_float,
        notes=notes,
    )


def _counted(found: Sequence[Operation]) -> dict[str, int]:
    return dict(sorted(Counter(item.operator for item in found).items()))


def _grouped(patterns: Iterable[tuple[str, ...]]) -> tuple[Group, ...]:
    counted = Counter(patterns)
    return tuple(Group(pattern=pattern, count=counted[pattern]) for pattern in sorted(counted))


def _elements(
    source: Sequence[Operation], file: Sequence[Operation], runtime: Sequence[Operation] | None
) -> tuple[Element, ...]:
    counts = [operations.standing(graph) for graph in (source, file)]
    executed = None if runtime is None else operations.standing(runtime)
    return tuple(
        Element(
            kind=kind,
            source=counts[0][kind],
            file=counts[1][kind],
            runtime=None if executed is None else executed[kind],
        )
        for kind in (operations.NORM, operations.ACTIVATION)
    )


def _layers(file: Sequence[Operation], runtime: Sequence[Operation] | None) -> tuple[Layer, ...]:
    """The layers of the file; what the runtime really computes in wins over what the file says."""
    executed = {item.name: item.arithmetic for item in runtime or () if item.arithmetic}
    return tuple(
        Layer(
            name=item.name,
            operator=item.operator,
            arithmetic=executed.get(item.name, item.arithmetic),
        )
        for item in file
        if operations.is_layer(item)
    )
