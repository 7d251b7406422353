"""Explains a conversion: operators before and after, fusion, and the arithmetic of each layer."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgewright import targets
from edgewright.compile import readable_files, recognition
from edgewright.compile.formats import FORMATS, ask, folder_of, stage_module, target_for
from edgewright.compile.graph import operations
from edgewright.compile.graph.float_groups import FloatGroup, Keepable, groups
from edgewright.compile.graph.operations import Operation
from edgewright.compile.request import CompileRequest, sample_set
from edgewright.compile.steps import steps_of
from edgewright.compile.tasks.source import Order, SourceRef, opened
from edgewright.compile.workers.pool import Workers
from edgewright.errors import Code, ConversionError
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.base import Noun
from edgewright.nouns.target import LayerReader, Target
from edgewright.precisions import MIXED


class Group(Noun, frozen=True, kw_only=True):
    """A sequence of operators, such as Conv, BatchNormalization, Relu, and how often it occurs."""

    pattern: tuple[str, ...]
    count: int


class Element(Noun, frozen=True, kw_only=True):
    """Operators that can be folded into a layer, and how many remain separate.

    Attributes:
        kind: `batch normalisation` or `activation`.
        source: how many follow a layer in the source.
        file: how many still do in the shipped file.
        runtime: how many still do in the graph that the runtime executes; None if that cannot be read here.
    """

    kind: str
    source: int
    file: int
    runtime: int | None


class Layer(Noun, frozen=True, kw_only=True):
    """A convolution or a dense layer of the shipped file. `arithmetic` is what the runtime reports, or else what the file says."""

    name: str
    operator: str
    arithmetic: str


class Placed(Noun, frozen=True, kw_only=True):
    """A layer of the shipped file, and whether an accelerator takes it. `taken` comes from the accelerator's plugin, without the device."""

    name: str
    operator: str
    taken: bool


class Placement(Noun, frozen=True, kw_only=True):
    """What an accelerator says of each layer, in the order of the file."""

    accelerator: str
    layers: tuple[Placed, ...]


class Explanation(Noun, frozen=True, kw_only=True):
    """How a model was converted.

    Attributes:
        source, file, runtime: operator -> count; `runtime` is None if it cannot be read here.
        chains: layers of the source with what follows them.
        fused: operators that others were fused into, in the runtime's graph, or else in the file.
        layers: convolutions and dense layers as shipped.
        kept_float: layers that were kept in floats as requested.
        notes: the manifest's notes, and one about fusion at the target.
        placement: which layers an accelerator runs, if a target can tell without one; else None.
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
    placement: Placement | None = None


def explain(request: CompileRequest, artifact: Artifact, workers: Workers) -> Explanation:
    """Reads the source and the artifact, each in the worker of its framework.

    Args:
        request: the request that the artifact was made from.

    Raises:
        ModelError, ConversionError: the source or the artifact cannot be read.
    """
    manifest = artifact.manifest
    ref = _source_ref(request, artifact, workers)
    here = __name__
    source = workers.call(FORMATS[ref.format].worker, here, "read_the_source", source=ref)
    target, reader = _reader(manifest.target)
    module = targets.module_name(reader.module)
    entry = artifact.folder / manifest.entry
    file, runtime = workers.call(target.framework, here, "read_the_artifact", module=module, path=entry)
    rows = (
        workers.call(target.framework, here, "read_the_placement", module=module, path=entry)
        if reader.places
        else None
    )
    placement = None if rows is None else Placement(accelerator=reader.places, layers=tuple(rows))
    found = _explained(source, file, runtime, artifact, (*manifest.notes, *reader.notes))
    return msgspec.structs.replace(found, placement=placement)


def _reader(name: str) -> tuple[Target, LayerReader]:
    """A target, and its reader for the layers of artifacts.

    Raises:
        ConversionError: the target has no reader.
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
    """The layers and groups that can be kept in floats.

    Args:
        artifact: the artifact made from the request in fp32.
    """
    target, reader = _reader(artifact.manifest.target)
    kind = artifact.manifest.source.format
    stage = reader.named_by_stage.get(kind)
    if kind in reader.named_by_source:
        source = _source_ref(request, artifact, workers)
        layers, rows = workers.call(FORMATS[kind].worker, __name__, "names_in_the_source", source=source)
        return Keepable(layers=tuple(layers), groups=_not_default(groups(rows), reader))
    if stage is not None:
        rows = _named_by_stage(stage, request, artifact, workers)
    else:
        entry = artifact.folder / artifact.manifest.entry
        module = targets.module_name(reader.module)
        rows, _ = workers.call(
            target.framework, __name__, "read_the_artifact", module=module, path=entry, run=False
        )
    found = groups(rows, products=reader.masked_products)
    return Keepable(
        layers=tuple(layer.name for layer in _layers(rows, None)), groups=_not_default(found, reader)
    )


def _not_default(found: Sequence[FloatGroup], reader: LayerReader) -> tuple[FloatGroup, ...]:
    """The groups that int8 does not already leave in floats by default."""
    return tuple(group for group in found if group.kind not in reader.float_by_default)


def names_in_the_source(source: SourceRef) -> tuple[list[str], list[Operation]]:
    """(names of the source's layers, its graph) in the framework's own terms. Runs in the source's worker."""
    found = ask(source.format, "layers", opened(source))
    if not isinstance(found, tuple) or len(found) != 2:
        raise FORMATS.failed(source.format, f"layers gave {type(found).__name__}, not names and rows")
    names, graph = found
    return names, _of_source(source, "layers", graph)


def _named_by_stage(
    stage: str, request: CompileRequest, artifact: Artifact, workers: Workers
) -> list[Operation]:
    """Runs the stages that pass on which layers stay in floats, with `stage` in place of the last one."""
    manifest, source = artifact.manifest, _source_ref(request, artifact, workers)
    target = target_for(manifest.target, source.format)
    *before, (last, _) = target.routes[source.format].stages
    conversion = msgspec.structs.replace(request.model.conversion, keep_float=("*",))
    known = workers.call(
        FORMATS[source.format].worker,
        "edgewright.compile.tasks.source",
        "domains_of_inputs",
        source=source,
    )
    with workers.folder() as place:
        path, said = source.path, {}
        route = [*before, (last, stage)]
        for index, (framework, module) in enumerate(route):
            folder = place / str(index)
            folder.mkdir()
            said = workers.call(
                FORMATS[source.format].worker_of(framework),
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


def _source_ref(request: CompileRequest, artifact: Artifact, workers: Workers) -> SourceRef:
    """The source, which the workers may read then."""
    source = folder_of(request.model.source)
    workers.may_read(
        readable_files.of(
            source, recognition.files(source, trusted=bool(request.model.trusted)), request.model
        )
    )
    return SourceRef(
        path=folder_of(request.model.source.absolute()),
        format=artifact.manifest.source.format,
        shapes=tuple(sorted(request.model.shapes.items())),
        ends=request.model.conversion.ends,
        trusted=bool(request.model.trusted),
    )


def read_the_source(source: SourceRef) -> list[Operation]:
    """Operations of the source; none if its format cannot list them. Runs in the source's worker."""
    if FORMATS[source.format].describe is None:
        return []
    return _of_source(source, "describe", ask(source.format, "describe", opened(source), source.path))


def _of_source(source: SourceRef, function: str, rows: Any) -> list[Operation]:
    """The rows that a function of the source's format gave, which may be a plug-in's."""
    try:
        return _converted(rows)
    except (TypeError, msgspec.ValidationError) as error:
        if not FORMATS.plugin(source.format):
            raise
        raise FORMATS.failed(source.format, f"{function} gave no rows of Operation: {error}") from error


def read_the_artifact(
    module: str, path: Path, run: bool = True
) -> tuple[list[Operation], list[Operation] | None]:
    """(operations of the shipped file, those that the runtime executes or None). Runs in the target's worker."""
    reader = importlib.import_module(module)
    executed = reader.executed(path) if run else None
    return _converted(reader.shipped(path)), None if executed is None else _converted(executed)


def read_the_placement(module: str, path: Path) -> list[Placed] | None:
    """What the target's accelerator says of each layer; None if it cannot tell here. Runs in the target's worker."""
    rows = importlib.import_module(module).placed(path)
    return None if rows is None else msgspec.convert(rows, list[Placed])


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
    """The layers of the file; the arithmetic that the runtime reports overrides what the file says."""
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
