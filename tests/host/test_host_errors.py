"""Error codes are in one enum, and hints name commands that exist."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from edgewright.cli.main import COMMANDS, app
from edgewright.errors import Code, EdgewrightError
from edgewright_agent.protocol import Code as AgentCode
from edgewright_agent.session import arguments

TOP = Path(__file__).parents[2]
SOURCES = [
    path
    for root in ("host/edgewright", "agent/edgewright_agent", "targets/edgewright_targets")
    for path in sorted((TOP / root).rglob("*.py"))
]
# where codes are defined; the loader runs before anything of the agent can be imported
OWN = ("error_codes.py", "protocol.py", "loader.py")
NOTED = ("golden", "low")  # what an agent notes of a verification, beside codes
WORDS = {code.value for code in Code}


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """A file, parsed once for all tests."""
    return ast.parse(path.read_text())


LIKELY = re.compile(r"\bcode\b|AgentError|Refused|['\"](" + "|".join(WORDS) + r")['\"]")


def parts(node: ast.AST | None) -> Iterator[ast.Constant]:
    """The string constants that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node
    elif isinstance(node, ast.IfExp):
        yield from (*parts(node.body), *parts(node.orelse))
    elif isinstance(node, ast.BoolOp):
        yield from (one for value in node.values for one in parts(value))
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        yield from (one for value in node.elts for one in parts(value))
    elif isinstance(node, ast.JoinedStr):
        yield ast.Constant("f-string", lineno=node.lineno)


@functools.cache
def constants() -> dict[str, list[str]]:
    """The texts that a name may have, in any module."""
    found: dict[str, list[str]] = {}
    for path in SOURCES:
        for node in tree_of(path).body if path.name not in OWN else ():
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found.setdefault(node.targets[0].id, []).extend(str(one.value) for one in parts(node.value))
    return found


def named(node: ast.AST) -> Iterator[ast.Constant]:
    """The texts that a name used as a code may have: `CHANGED` or `module.CHANGED`, but not `Code.CHANGED`."""
    name = getattr(node, "id", "") or getattr(node, "attr", "")
    if name.isupper() and getattr(getattr(node, "value", None), "id", "").lstrip("_") not in (
        "Code",
        "codes",
    ):
        yield from (ast.Constant(text, lineno=node.lineno) for text in constants().get(name, ()))


def in_place_of_codes(tree: ast.AST) -> Iterator[ast.Constant]:
    """String constants that are used as a code, and every one that is spelled like a code with a hyphen."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "code":
            yield from named(node.value)
        if (isinstance(node, ast.keyword) and node.arg == "code") or (
            isinstance(node, ast.Assign) and any(getattr(one, "id", "") == "code" for one in node.targets)
        ):
            yield from parts(node.value)
        elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "code":
            yield from (one for one in parts(node.value) if one.value)
        elif isinstance(node, ast.Compare) and getattr(node.left, "attr", "") == "code":
            yield from (one for other in node.comparators for one in parts(other))
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("AgentError", "Refused"):
            yield from parts(node.args[0] if node.args else None)
        elif isinstance(node, ast.Constant) and node.value in WORDS and "-" in str(node.value):
            yield node


def test_no_code_stands_outside_of_the_enum() -> None:
    found = {
        f"{path.relative_to(TOP)}:{one.lineno}: {one.value}"
        for path in SOURCES
        if path.name not in OWN and LIKELY.search(path.read_text())
        for one in in_place_of_codes(tree_of(path))
        if one.value not in ("", *NOTED)
    }
    assert len(SOURCES) > 300 and not found, sorted(found)


def test_the_literals_of_the_loader_are_codes() -> None:
    tree = ast.parse((TOP / "agent/edgewright_agent/loader.py").read_text())
    found = {one.value for one in in_place_of_codes(tree)}
    assert found == {"protocol", "not-found", "hash-mismatch"} and found <= WORDS


def test_the_enum_has_all_codes_of_the_agent() -> None:
    assert {word for name, word in vars(AgentCode).items() if name.isupper()} <= WORDS


def test_every_code_is_used() -> None:
    text = "".join(path.read_text() for path in SOURCES if path.name != "error_codes.py")
    assert not [code.name for code in Code if f"Code.{code.name}" not in text and code.value not in AGENTS]


AGENTS = {word for name, word in vars(AgentCode).items() if name.isupper()}


def test_an_error_carries_its_code_as_plain_text() -> None:
    error = EdgewrightError("it failed", code=Code.DISK_FULL)
    assert type(error.code) is str and error.code == "disk-full" == Code.DISK_FULL
    assert type(EdgewrightError("it failed").code) is str


# --- hints

TYPED = re.compile(r"`(edgewright [^`]*)`")
BARE = re.compile(r"(?:^|; )(edgewright [a-z]+[^;]*)")


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of all strings except docstrings; fields of f-strings become `X`."""
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body
        if isinstance(node.body[0], ast.Expr)
    }
    inner = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            texts = [one.value if isinstance(one, ast.Constant) else "X" for one in node.values]
            yield node.lineno, "".join(str(text) for text in texts)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documents | inner
        ):
            yield node.lineno, node.value


@pytest.fixture(scope="module")
def group() -> click.Group:
    found = typer.main.get_command(app)
    assert isinstance(found, click.Group)
    return found


def wrong(line: str, group: click.Group, *, prose: bool = False) -> str:
    """The part of `edgewright ...` that does not exist; empty if all of it does.

    Args:
        prose: other words may follow.
    """
    command: click.Command = group
    with click.Context(group) as context:
        words = line.split()[1:]
        while words and isinstance(command, click.Group) and not words[0].startswith("-"):
            found = command.get_command(context, words[0])
            if found is None:
                return f"no command {words[0]}"
            command, words = found, words[1:]
        options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        options |= {"-h", "--help"}
        taken = [word for word in words if word.startswith("-")]
        places = [one for one in command.params if isinstance(one, click.Argument)]
        if unknown := [word for word in taken if word.partition("=")[0] not in options]:
            return f"no option {unknown[0]}"
        return "too many words" if not prose and len(words) > len(taken) * 2 + len(places) else ""


def test_hints_name_commands_that_can_be_typed(group: click.Group) -> None:
    found, count = [], 0
    for path in SOURCES:
        if "edgewright " not in path.read_text():
            continue
        for number, text in strings(tree_of(path)):
            for typed in TYPED.findall(text):
                count += 1
                if why := wrong(typed, group):
                    found.append(f"{path.relative_to(TOP)}:{number}: {typed}: {why}")
            for line in BARE.findall(text):
                if why := wrong(line, group, prose=True):
                    found.append(f"{path.relative_to(TOP)}:{number}: {line}: {why}")
    assert count > 30 and not found, found


def test_the_agent_gives_no_hint() -> None:
    """An agent's message names the problem and the input; the host adds what to do, since it knows its commands."""
    found = []
    for path in (TOP / "agent/edgewright_agent").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("AgentError", "Refused"):
                text = ast.unparse(node).replace("`id`, `do` and `args`", "")
                if len(node.args) > 2 or "`" in text or " --" in text:
                    found.append(f"{path.name}:{node.lineno}: {text}")
    assert not found


AGENTS_COMMANDS = {*arguments.COMMANDS, *COMMANDS}


def test_no_text_names_a_command_without_edgewright() -> None:
    """A user cannot type `prune` alone, and `begin` is between host and agent."""
    found = [
        f"{path.relative_to(TOP)}:{number}: {text}"
        for path in SOURCES
        if path.parts[-2] not in ("wire", "edgewright_agent") and "`" in path.read_text()
        for number, text in strings(tree_of(path))
        for bare in re.findall(r"`([a-z]+)(?: [^`]*)?`", text)
        if bare in AGENTS_COMMANDS
    ]
    assert not found
