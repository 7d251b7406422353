"""Tables of `convert --explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.cli import render

if TYPE_CHECKING:
    from edgewright.compile.explain import Explanation, Group


def show_explanation(found: Explanation) -> None:
    """Prints the operators before and after conversion, the fused ones, and the number formats that layers compute in."""
    runtime = found.runtime
    names = sorted({*found.source, *found.file, *(runtime or {})})
    rows = [
        (
            name,
            *(_count(graph, name) for graph in (found.source, found.file, *([runtime] if runtime else []))),
        )
        for name in names
    ]
    totals = [
        str(sum(graph.values())) for graph in (found.source, found.file, *([runtime] if runtime else []))
    ]
    heads = ["operator", ">source", ">file", *([">runtime"] if runtime else [])]
    render.line("")
    render.table("Operators", heads, [*rows, ("in all", *totals)])
    render.table(
        "Still standing by themselves behind a layer",
        ["", ">source", ">file", ">runtime"],
        [
            (item.kind, item.source, item.file, "unknown" if item.runtime is None else item.runtime)
            for item in found.elements
        ],
    )
    render.table("Layers of the source, with what follows them", ["", ">count"], _rows(found.chains))
    where = "in the file" if runtime is None else "by the runtime, on this machine"
    render.table(f"Fused {where}", ["", ">count"], _rows(found.fused) or [("nothing", "")])
    render.table(
        "Layers",
        ["layer", "operator", "computes in"],
        [(layer.name, layer.operator, layer.arithmetic or "-") for layer in found.layers],
    )
    if found.placement is not None:
        render.table(
            f"What {found.placement.accelerator} runs, by its plugin on this machine",
            ["layer", "operator", "runs there"],
            [
                (layer.name, layer.operator, "yes" if layer.taken else "no")
                for layer in found.placement.layers
            ],
        )
    render.line(f"route: {' > '.join(found.route)}")
    if found.kept_float:
        render.line(f"kept in floats: {', '.join(found.kept_float)}")
    for note in found.notes:
        render.line(f"note: {note}")


def _count(graph: dict[str, int] | None, name: str) -> str:
    return str((graph or {}).get(name, "") or "-")


def _rows(groups: tuple[Group, ...]) -> list[tuple[str, str]]:
    return [(" + ".join(group.pattern), str(group.count)) for group in groups]
