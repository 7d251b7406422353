"""Normalises ONNX models: declares each opset and the shape of each output, and inlines local functions. Runs in the `onnx` worker."""

from __future__ import annotations

from typing import Any

STANDARD = ("", "ai.onnx")
OLDEST = 13  # for a model without standard operators: any opset would do, and runtimes of 2020 read this one


def normalised(model: Any) -> tuple[Any, bool]:
    """(model, whether it changed)."""
    changed = _settle_opsets(model)
    if model.functions:
        model, inlined = _inlined(model)
        changed = changed or inlined
    return model, _declare_output_shapes(model) or changed


def _declare_output_shapes(model: Any) -> bool:
    """Declares, in place, the shapes of outputs that a file leaves open: runtimes infer them, but the checker refuses the file."""
    import onnx

    bare = [item for item in model.graph.output if _is_bare(item.type)]
    if not bare:
        return False
    try:
        inferred = {item.name: item.type for item in onnx.shape_inference.infer_shapes(model).graph.output}
    except Exception:  # noqa: BLE001 - the checker reports it
        return False
    found = [item for item in bare if not _is_bare(inferred[item.name])]
    for item in found:
        item.type.CopyFrom(inferred[item.name])
    return bool(found)


def _is_bare(kind: Any) -> bool:
    """Whether a tensor's type has no shape."""
    return kind.WhichOneof("value") == "tensor_type" and not kind.tensor_type.HasField("shape")


def _settle_opsets(model: Any) -> bool:
    """Declares each domain once in the model and in its functions, and always the standard one, as \"\". Works in place."""
    versions = _versions(model.opset_import)
    several = {domain: found for domain, found in versions.items() if len(found) > 1}
    settled = {domain: max(found) for domain, found in versions.items()}
    changed = "" not in settled or len(model.opset_import) != len(settled)
    settled.setdefault("", OLDEST)
    _write(model.opset_import, settled)
    for domain, found in several.items():
        _choose(model, domain, sorted(found, reverse=True))
    for function in model.functions:
        own = {domain: max(found) for domain, found in _versions(function.opset_import).items()}
        if len(own) != len(function.opset_import):
            _write(function.opset_import, own)
            changed = True
    return changed


def _versions(imports: Any) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for item in imports:
        found.setdefault("" if item.domain in STANDARD else item.domain, set()).add(item.version)
    return found


def _write(imports: Any, versions: dict[str, int]) -> None:
    from onnx import helper

    del imports[:]
    imports.extend(helper.make_opsetid(domain, version) for domain, version in versions.items())


def _choose(model: Any, domain: str, versions: list[int]) -> None:
    """The newest of several versions for which the model is valid; the newest of all if there is none."""
    import onnx

    item = next(item for item in model.opset_import if item.domain == domain)
    for version in versions:
        item.version = version
        try:
            onnx.checker.check_model(model, full_check=not _is_external(model))
        except Exception:  # noqa: BLE001, S112 - whatever the checker raises: the next one
            continue
        return
    item.version = versions[0]


def _is_external(model: Any) -> bool:
    """Whether weights are in separate files, which the checker does not find for a model in memory."""
    return any(item.data_location == item.EXTERNAL for item in model.graph.initializer)


def _inlined(model: Any) -> tuple[Any, bool]:
    """The model with local functions inlined as far as possible; older runtimes and converters do not support them."""
    from onnx import inliner

    aligned = _align_opsets(model)
    try:
        made = inliner.inline_local_functions(model)
    except Exception:  # noqa: BLE001 - then it stays as it is
        return model, aligned
    used = {node.domain for node in _every_node(made)} | {function.domain for function in made.functions}
    kept = {item.domain: item.version for item in made.opset_import if item.domain in used or not item.domain}
    _write(made.opset_import, kept)
    return made, True


def _align_opsets(model: Any) -> bool:
    """Sets functions to the model's opset if all their operators mean the same in both: the inliner skips others."""
    wanted = next(item.version for item in model.opset_import if item.domain == "")
    changed = False
    for function in model.functions:
        own = next((item for item in function.opset_import if item.domain in STANDARD), None)
        if own is None or own.version == wanted:
            continue
        nodes = [node for node in _nodes(function.node) if node.domain in STANDARD]
        if all(_means_the_same(node.op_type, own.version, wanted) for node in nodes):
            own.version = wanted
            changed = True
    return changed


def _means_the_same(operator: str, one: int, other: int) -> bool:
    """Whether an operator has the same inputs, outputs and attributes, including defaults, in two opsets."""
    from onnx import defs

    try:
        first, second = (defs.get_schema(operator, version, "") for version in (one, other))
    except defs.SchemaError:
        return False
    if first.since_version == second.since_version:
        return True

    def signature(schema: Any) -> Any:
        attributes = {
            name: item.default_value.SerializeToString() for name, item in schema.attributes.items()
        }
        return [item.name for item in schema.inputs], [item.name for item in schema.outputs], attributes

    return bool(signature(first) == signature(second))


def _every_node(model: Any) -> list[Any]:
    return _nodes([*model.graph.node, *(node for one in model.functions for node in one.node)])


def _nodes(nodes: Any) -> list[Any]:
    """The nodes, including those of inner graphs."""
    pending, found = list(nodes), []
    while pending:
        node = pending.pop()
        found.append(node)
        for attribute in node.attribute:
            pending += attribute.g.node
            pending += [inner for graph in attribute.graphs for inner in graph.node]
    return found
