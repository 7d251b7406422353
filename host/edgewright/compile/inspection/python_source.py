"""Inspects a PyTorch source `module.py:function` without running it.

The files found here are hashed: the module itself, the modules next to it that it imports (recursively), and the
files that it names. These are all strings in that code that are the path of an existing file, relative to the
module's folder or to the working folder, and the files and folders in the list `FILES`, if there is one.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from pathlib import Path

from edgewright.errors import Code, ModelError
from edgewright.python_syntax import parse

_MAX_PATH = 400  # characters of a string that may be a path


def look(path: Path, function: str) -> list[Path]:
    """The files that determine the model: the module first, the others sorted.

    Raises:
        ModelError: no such file or function, a syntax error, or a missing file in `FILES`.
    """
    if not path.is_file():
        raise ModelError(f"no such module: {path}", hint="check the path", code=Code.MODEL_NOT_FOUND)
    tree = _parsed(path)
    names = _names(tree)
    if function not in names:
        near = difflib.get_close_matches(function, names, n=1)
        known = ", ".join(name for name in names if not name.startswith("_")) or "nothing"
        raise ModelError(
            f"no function {function} in {path}",
            hint=f"did you mean {near[0]}?" if near else f"it has {known}",
            code=Code.NO_SUCH_FUNCTION,
        )
    return files_of(path)


def files_of(path: Path) -> list[Path]:
    """As `look`, without checking for a function."""
    folder = path.parent
    modules: dict[Path, ast.Module] = {}
    waiting = [path]
    while waiting:
        module = waiting.pop()
        if module not in modules:
            modules[module] = _parsed(module)
            waiting += _imported(modules[module], module.parent, folder)
    named = {file for tree in modules.values() for file in _files(tree, folder)}
    return [path, *sorted({*modules, *named} - {path})]


def _parsed(path: Path) -> ast.Module:
    try:
        return parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise ModelError(
            f"{path.name} is not valid Python{f', line {line}' if line else ''}: {getattr(error, 'msg', error)}",
            hint="run it by itself first",
            code=Code.MODEL_UNREADABLE,
        ) from error


def _names(tree: ast.Module) -> list[str]:
    """The names that the module defines, assigns or imports, in order."""
    found: list[str] = []
    for node in _outside_definitions(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found += [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return found


def _outside_definitions(node: ast.AST) -> Iterator[ast.AST]:
    """Statements that run on import, those inside `if` and `try` too, but not what functions and classes contain."""
    for inner in ast.iter_child_nodes(node):
        yield inner
        if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _outside_definitions(inner)


def _imported(tree: ast.Module, beside: Path, folder: Path) -> Iterator[Path]:
    """Files of the modules that an `import` may refer to, relative to the importing file's package or to `folder`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module(folder, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = folder
            if node.level:
                base = beside
                for _ in range(node.level - 1):
                    base = base.parent
            name = node.module or ""
            yield from _module(base, name)
            for alias in node.names:
                yield from _module(base, f"{name}.{alias.name}".lstrip("."))


def _module(base: Path, dotted: str) -> Iterator[Path]:
    """The files that run when `dotted` is imported from `base`: each package's `__init__.py`, and the module."""
    place = base
    for part in filter(None, dotted.split(".")):
        place = place / part
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if file.is_file():
                yield file


def _files(tree: ast.Module, folder: Path) -> Iterator[Path]:
    """Files that strings in the code name, and those in `FILES`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for base in (folder, Path()):
                file = _file(base, node.value)
                if file is not None:
                    yield file
    for node in tree.body:
        names = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(name, ast.Name) and name.id == "FILES" for name in names):
            yield from _declared(node, folder)


def _declared(node: ast.stmt, folder: Path) -> Iterator[Path]:
    assert isinstance(node, ast.Assign)  # noqa: S101 - the caller looked
    try:
        texts = list(ast.literal_eval(node.value))
    except (ValueError, TypeError) as error:
        raise ModelError(
            "FILES is not a list of paths written out", hint='such as FILES = ["net.pth"]'
        ) from error
    for text in texts:
        place = folder / Path(str(text)).expanduser()
        if not place.exists():
            raise ModelError(f"file of FILES is missing: {text}", hint=f"paths are relative to {folder}")
        yield from (item for item in place.rglob("*") if item.is_file()) if place.is_dir() else [place]


def _file(base: Path, text: str) -> Path | None:
    if not text or len(text) > _MAX_PATH or "\0" in text or "\n" in text:
        return None
    try:
        file = base / Path(text).expanduser()
        return file if file.is_file() else None
    except (OSError, RuntimeError):  # no such home folder, or a name that is too long
        return None
