"""One form for what exporters write in several: opsets named once, local functions inlined. In the `onnx` worker."""

from __future__ import annotations

from typing import Any

STANDARD = ("", "ai.onnx")
OLDEST = 13  # for a model without a standard operator: any will do, and runtimes of 2020 read it
_INLINED = 8  # rounds: functions may call functions


def normalised(model: Any) -> tuple[Any, bool]:
    """(model, whether it changed)."""
    changed = _settle_opsets(model)
    if model.functions:
        model, inlined = _inlined(model)
        changed = changed or inlined
    return model, changed


def _settle_opsets(model: Any) -> bool:
    """Names each domain once in the model and in its functions, the standard one always and as \"\". In place."""
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
    """The newest of several versions with which the model is valid; the newest of all where none is."""
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
    """Whether weights are in files of their own, which the checker of a model in memory does not find."""
    return any(item.data_location == item.EXTERNAL for item in model.graph.initializer)


def _inlined(model: Any) -> tuple[Any, bool]:
    """The model without local functions, as far as the inliner can; older runtimes and converters know none."""
    from onnx import inliner

    made = model
    for _ in range(_INLINED):
        try:
            made = inliner.inline_local_functions(made, convert_version=True)
        except Exception:  # noqa: BLE001 - no way from a function's opset to the model's
            try:
                made = inliner.inline_local_functions(made)
            except Exception:  # noqa: BLE001 - then it stays as it is
                return model, False
        if not made.functions:
            break
    used = {node.domain for node in _every_node(made)} | {function.domain for function in made.functions}
    kept = {item.domain: item.version for item in made.opset_import if item.domain in used or not item.domain}
    _write(made.opset_import, kept)
    return made, True


def _every_node(model: Any) -> list[Any]:
    pending, found = [*model.graph.node, *(node for one in model.functions for node in one.node)], []
    while pending:
        node = pending.pop()
        found.append(node)
        for attribute in node.attribute:
            pending += attribute.g.node
            pending += [inner for graph in attribute.graphs for inner in graph.node]
    return found
