"""Compacts board code for sending: without comments and annotations, but still the same program."""

from __future__ import annotations

import ast
import tokenize
from typing import NamedTuple

from edgewright.connect.agent.annotations import PACKAGE, SHAPES, without_annotations
from edgewright.connect.agent.minify import shrink
from edgewright.errors import Code, UsageError
from edgewright.python_syntax import parse

READ_AT_RUN_TIME = ("NamedTuple", "TypedDict")  # base classes that read their subclass's annotations


class Statement(NamedTuple):
    """A top-level statement without annotations: its line, and its tree as text."""

    line: int
    tree: str


def compact(name: str, source: str) -> str:
    """Compacts a source for boards.

    Raises:
        UsageError: it is not valid Python, or packing would change its meaning. The error names the file and the line.
    """
    before = program(name, source)
    try:
        packed = shrink(without_annotations(source))
    except (tokenize.TokenError, SyntaxError) as error:
        raise refused(name, 1, "cannot be packed") from error
    try:
        after = program(name, packed)
    except UsageError as error:
        raise refused(name, first_difference(before, ()), "cannot be packed") from error
    if [one.tree for one in before] != [one.tree for one in after]:
        raise refused(name, first_difference(before, after), "would be another program when it is packed")
    return packed


def first_difference(before: tuple[Statement, ...], after: tuple[Statement, ...]) -> int:
    """The line of the first statement that packing changes."""
    pairs = zip(before, after, strict=False)
    differing = (one.line for one, other in pairs if one.tree != other.tree)
    return next(differing, before[len(after)].line if len(before) > len(after) else 1)


def refused(name: str, line: int, what: str) -> UsageError:
    """The error for a source that cannot be packed."""
    return UsageError(
        f"{name}, line {line}: this code {what}",
        hint="see the dialect of runners in docs/add-a-target.md",
        code=Code.RUNNER_DIALECT,
    )


def parsed(name: str, source: str) -> ast.Module:
    """The tree of a source.

    Raises:
        UsageError: it is not Python.
    """
    try:
        return parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise refused(name, getattr(error, "lineno", None) or 1, "is not valid Python") from error


def program(name: str, source: str) -> tuple[Statement, ...]:
    """The top-level statements of a source, without what packing removes: annotations, docstrings, the import of the shapes."""
    tree = Bare(name).visit(parsed(name, source))
    return tuple(Statement(one.lineno, ast.dump(one)) for one in tree.body if not isinstance(one, ast.Pass))


class Bare(ast.NodeTransformer):
    """Removes from a tree what packing removes from a source.

    Raises:
        UsageError: a class reads its annotations at run time.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            found = getattr(node, field, None)
            if isinstance(found, list):
                kept = [one for one in found if not idle(one)]
                empty = [ast.Pass(lineno=found[0].lineno)] if found and field == "body" else []
                setattr(node, field, kept or empty)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        annotated = [
            one.lineno for one in node.body if isinstance(one, ast.AnnAssign) and quoted(one.annotation)
        ]
        bases = {getattr(one, "attr", getattr(one, "id", "")) for one in node.bases}
        if annotated and (node.decorator_list or bases & {*READ_AT_RUN_TIME}):
            raise refused(
                self.name, annotated[0], "is in a class that reads its annotations, which boards do not get"
            )
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.Pass(lineno=node.lineno)
        return ast.Assign([self.visit(node.target)], self.visit(node.value), lineno=node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module == PACKAGE:
            node.names = [one for one in node.names if one.name != SHAPES]
        return node if node.names else ast.Pass(lineno=node.lineno)


def quoted(node: ast.expr) -> bool:
    """Whether an expression is a string."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def idle(node: ast.stmt) -> bool:
    """Whether a statement does nothing: `pass`, or a lone string such as a docstring."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and quoted(node.value))
