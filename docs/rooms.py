"""Writes the list of packages in ARCHITECTURE.md and docs/modules.md, from the first sentences of docstrings."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = (
    "host/edgewright",
    "agent/edgewright_agent",
    "targets/edgewright_targets",
    "profiles/edgewright_profiles",
)
BEGIN, END = "<!-- packages: written by `make docs` -->\n", "<!-- end of packages -->"
HEAD = """# Modules

<!-- written by `make docs` from the code: do not edit -->

What each module is, by its own docstring. [ARCHITECTURE.md](../ARCHITECTURE.md) says how they work together.
"""


def summary(path: Path) -> str:
    """The first sentence of a module's docstring, on one line; empty if there is no docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s+(?=[A-Z`])", paragraph)[0].replace("|", "\\|")


def packages(root: Path = ROOT) -> dict[Path, list[Path]]:
    """Folder of a package -> its modules, in the order of the layers' roots."""
    found: dict[Path, list[Path]] = {}
    for source in SOURCES:
        for path in sorted((root / source).rglob("__init__.py")):
            folder = path.parent
            found[folder] = sorted(one for one in folder.glob("*.py") if one.name != "__init__.py")
    return found


def rooms(root: Path = ROOT) -> str:
    """The table of packages."""
    rows = ["| package | is |\n|---|---|"]
    for folder in packages(root):
        name = folder.relative_to(root).as_posix()
        rows.append(f"| `{name}` | {summary(folder / '__init__.py')} |")
    return "\n".join(rows) + "\n"


def architecture(text: str) -> str:
    """ARCHITECTURE.md with the current table of packages."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + rooms() + END + rest.split(END)[1]


def modules() -> str:
    """docs/modules.md."""
    parts = [HEAD]
    for folder, found in packages().items():
        parts.append(f"\n## {folder.relative_to(ROOT).as_posix()}\n\n{summary(folder / '__init__.py')}\n")
        if found:
            parts.append("\n| module | is |\n|---|---|\n")
            parts += [f"| `{one.stem}` | {summary(one)} |\n" for one in found]
    return "".join(parts)


def unnamed(root: Path = ROOT) -> list[str]:
    """Modules and packages without a docstring."""
    files = [path for folder, found in packages(root).items() for path in (folder / "__init__.py", *found)]
    return [path.relative_to(root).as_posix() for path in files if not summary(path)]
