"""Modules have plain names, and do not import each other in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = (
    "host/edgewright",
    "agent/edgewright_agent",
    "targets/edgewright_targets",
    "profiles/edgewright_profiles",
)
IRREGULAR = (
    "given", "made", "kept", "held", "hidden", "written", "built", "sent", "left", "said", "told", "shown", "known",
    "drawn", "chosen", "frozen", "spent", "bound", "found", "read", "put", "cut",
)  # fmt: skip
NOUNS = {
    "finding": "what a diagnosis finds", "listing": "lists for people", "provisioning": "the steps of it",
    "incoming": "what comes in", "frozen": "the source format of that name",
}  # fmt: skip


def modules(root: Path) -> dict[str, Path]:
    """Import name -> file."""
    found = {}
    for room in ROOMS:
        for file in (root / room).rglob("*.py"):
            parts = file.relative_to((root / room).parent).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


def imports(tree: ast.AST) -> Iterator[tuple[str, list[str]]]:
    """(module, names) of the imports that run, in functions too: those for type checkers alone do not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.expr) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            continue
        if isinstance(node, ast.Import):
            yield from ((one.name, []) for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, [one.name for one in node.names]
        yield from imports(node)


def imported(text: str, known: set[str]) -> set[str]:
    """Which known modules a source imports."""
    found = set()
    for module, names in imports(ast.parse(text)):
        inner = {f"{module}.{name}" for name in names} & known
        found |= inner or {module} & known
        found |= {module} & known if any(f"{module}.{name}" not in known for name in names) else set()
    return found


def circle(sources: dict[str, str]) -> list[str]:
    """Modules that import each other in a circle; empty without one."""
    graph = {name: imported(text, set(sources)) - {name} for name, text in sources.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def bare(stem: str) -> bool:
    """Whether a name is a participle and nothing else."""
    ends = stem.endswith(("ed", "ing")) and stem not in ("seed", "speed", "feed", "need", "string")
    return "_" not in stem and stem not in NOUNS and (ends or stem in IRREGULAR)


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle({name: file.read_text() for name, file in modules(ROOT).items()}) == []


def test_no_module_is_named_by_a_bare_participle() -> None:
    stems = {file.stem for file in modules(ROOT).values()}
    assert [stem for stem in sorted(stems) if bare(stem)] == []
    assert set(NOUNS) <= stems


def test_a_circle_inside_functions_is_seen() -> None:
    late = "def f():\n    from room import b"
    assert set(circle({"room.a": late, "room.b": "import room.c", "room.c": "from room.a import f"})) == {
        "room.a", "room.b", "room.c",
    }  # fmt: skip
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from room import b"
    assert circle({"room.a": typed, "room.b": "from room import a"}) == []


def test_a_bare_participle_is_seen() -> None:
    assert [stem for stem in ("fitting", "spared", "kept", "board_scoring", "verify", "seed") if bare(stem)] == [
        "fitting", "spared", "kept",
    ]  # fmt: skip
