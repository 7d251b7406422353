"""Modules of the agent import one another in one direction, and at the top unless a comment gives a reason."""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import edgewright_agent

ROOT = Path(edgewright_agent.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))


def name_of(file: Path) -> str:
    """The name of a module below the package."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


KNOWN = {name_of(file) for file in SOURCES}


def imports(tree: ast.AST) -> list[ast.Import | ast.ImportFrom]:
    """All imports of a program, those in functions included."""
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def modules(node: ast.Import | ast.ImportFrom) -> set[str]:
    """The modules of the agent that an import names."""
    if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("edgewright_agent"):
        return set()
    names = {".".join((*node.module.split(".")[1:], one.name)) for one in node.names}
    return names & KNOWN or {node.module.partition(".")[2]}


def test_no_two_modules_import_each_other() -> None:
    graph = {
        name_of(file): set[str]().union(*(modules(node) for node in imports(ast.parse(file.read_text()))))
        for file in SOURCES
    }
    assert graph["lifecycle.trial"] >= {"lifecycle.watchdog", "storage.state"}
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names them


def test_an_import_inside_a_function_says_why() -> None:
    silent = []
    for file in SOURCES:
        lines = file.read_text().splitlines()
        tree = ast.parse("\n".join(lines))
        inner = [node for node in imports(tree) if node.col_offset]
        silent += [f"{name_of(file)}:{node.lineno}" for node in inner if "#" not in lines[node.lineno - 1]]
    assert silent == []
