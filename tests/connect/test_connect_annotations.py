"""Annotations of board code: quoted, only for type checkers, and removed from what is sent to boards."""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path

import needs
import pytest

from edgewright import targets
from edgewright.connect.agent import compact, package, runner_package
from edgewright.connect.agent.annotations import SHAPES, without_annotations
from edgewright.errors import UsageError

AGENT = package.source_folder("edgewright_agent")
TARGETS = package.source_folder("edgewright_targets")
BOARD_CODE = sorted(
    [
        *AGENT.rglob("*.py"),
        *TARGETS.glob("*/runner.py"),
        *TARGETS.glob("_cuda/*.py"),
        *TARGETS.glob("_x86/*.py"),
    ]
)
IMPORT_ALL = """
import importlib, json, sys
sys.path[:0] = json.loads(sys.argv[1])
for name in json.loads(sys.argv[2]):
    importlib.import_module(name)
"""


class Bare(ast.NodeTransformer):
    """Removes annotations, and the import of the shapes, from a syntax tree; `found` has the annotations."""

    def __init__(self) -> None:
        self.found: list[ast.expr | None] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.found.append(node.returns)
        node.returns = None
        return self.generic_visit(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        node.body = self.visit(node.body)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        self.found += [node.annotation] if node.arg not in ("self", "cls") else []
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.found.append(node.annotation)
        assert node.value is not None, f"line {node.lineno}: without its annotation this is a name alone"
        return ast.Assign([node.target], self.visit(node.value))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        node.names = [one for one in node.names if one.name != SHAPES]
        return node if node.names else None


def functions(source: str) -> list[tuple[str, int]]:
    """Name and line of every function in a program."""
    return [(one.name, one.lineno) for one in ast.walk(ast.parse(source)) if isinstance(one, ast.FunctionDef)]


@pytest.mark.parametrize("file", BOARD_CODE, ids=lambda one: f"{one.parent.name}/{one.name}")
def test_board_code_is_annotated_and_packing_takes_nothing_else(file: Path) -> None:
    source = file.read_text()
    names = [node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)]
    assert SHAPES not in names and "typing" not in names, "they are not there at run time"
    bare, plain = Bare(), without_annotations(source)
    left = ast.dump(bare.visit(ast.parse(source)))
    quoted = [isinstance(one, ast.Constant) and isinstance(one.value, str) for one in bare.found]
    assert all(quoted), "an annotation lacks, or is not quoted"
    assert ast.dump(ast.parse(plain)) == left
    assert functions(plain) == functions(source) and without_annotations(plain) == plain


@pytest.mark.parametrize(
    ("annotated", "plain"),
    [
        ('def f(a: "int" = 1, *b: "s", c: "dict[str, int]" = {}) -> "None": pass', "def f(a=1, *b, c={}): pass"),
        ('def f(\n    a: "int",\n    b=(1,),\n) -> "None":\n    pass', "def f(a, b=(1,)):\n\n\n\n    pass"),
        ('def f(a=lambda x: "y", b={"c": "d"}) -> "e": pass', 'def f(a=lambda x: "y", b={"c": "d"}): pass'),
        ('x: "int" = y[1:"2"]', 'x = y[1:"2"]'),
        ('self.x: "int" = 1', "self.x = 1"),
        ('print({"a": "b"})', 'print({"a": "b"})'),
        ('x = {"a": "b"}', 'x = {"a": "b"}'),
        ('else: "b"', 'else: "b"'),
        ("from edgewright_agent import shapes\nx", "\nx"),
        ("from edgewright_agent import shapes, clock", "from edgewright_agent import  clock"),
        ("from edgewright_agent import clock, shapes", "from edgewright_agent import clock"),
        ("from edgewright_agent import (\n    a,\n    shapes,\n)", "from edgewright_agent import (\n    a,\n\n)"),
    ],
)  # fmt: skip
def test_what_is_taken(annotated: str, plain: str) -> None:
    assert without_annotations(annotated + "\n") == plain + "\n"


@pytest.mark.parametrize(
    ("source", "packed"),
    [
        ('import os\n\x0c\nK = 1 + 2 + 3 + 4\nRATE: "int" = 3\n', "import os\n\nK=1+2+3+4\nRATE=3\n"),
        ('\x0c"""What it does."""\nx = 1\n', "\nx=1\n"),
        ("x = '\u2028 \x1c' # b\ny = 1 # c\n", "x='\u2028 \x1c'\ny=1\n"),
        ('x = """a  \nb"""\n', 'x="""a  \nb"""\n'),
        ('class A:\n    x: "int"\n    y: "int" = 1\n', "class A:\n pass\n y=1\n"),
        ('def f(self):\n    self.x: "int"\n', "def f(self):\n pass\n"),
        ('def f(): x: "int"\n', "def f():pass\n"),
        ('x: "int" = 1; y: "int"; z = 2\n', "x=1;pass;z=2\n"),
        ('def f(a=lambda b, c: "s", d=lambda *e: "t") -> "u": pass\n', 'def f(a=lambda b,c:"s",d=lambda*e:"t"):pass\n'),
        ('def f(a: "dict[str, " "int]" = 1) -> "b" "c": pass\n', "def f(a=1):pass\n"),
        ('x: "a" "b" = 1\n', "x=1\n"),
        ("from edgewright_agent import shapes as s\n", "\n"),
        ("from edgewright_agent import clock, shapes as s\n", "from edgewright_agent import clock\n"),
        ("if X:\n from edgewright_agent import shapes\n", "if X:\n pass\n"),
        ("class A(NamedTuple):\n    x: int\n", "class A(NamedTuple):\n x:int\n"),
        ("def f(x: int = 3) -> str: pass\n", "def f(x:int=3)->str:pass\n"),
    ],
)  # fmt: skip
def test_packed_code_is_the_same_program(source: str, packed: str) -> None:
    assert compact.compact("acme/runner.py", source) == packed


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import os\nx = (\n", "line 2: this code is not valid Python"),
        ('import os\nclass A(NamedTuple):\n    x: "int"\n', "line 3: this code is in a class that reads"),
        (
            'import os\ndef f():\n    return (\n        "a"\n    )\n',
            "line 2: this code would be another program",
        ),
    ],
)
def test_code_that_packing_would_change_is_refused(
    source: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact, "without_annotations", lambda text: text.replace('"a"', '"b"'))
    with pytest.raises(UsageError, match=f"^acme/runner.py, {why}") as refused:
        compact.compact("acme/runner.py", source)
    assert refused.value.code == "runner-dialect"


@pytest.mark.parametrize("version", ["3.6", "3.13"])
@pytest.mark.parametrize("packed", [False, True], ids=["unpacked", "packed"])
def test_board_code_is_imported_with_and_without_its_annotations(
    tmp_path: Path, version: str, packed: bool
) -> None:
    folders = [str(AGENT.parent), str(TARGETS.parent)]
    names = [f"edgewright_targets.{name}.runner" for name in targets.names()]
    if packed:
        folders = [str(tmp_path)]
        found = package.unpacked(package.package().data)
        for name in targets.names():
            found.update(json.loads(runner_package.package(name).data))
        for name, text in found.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
    top = Path(folders[0])
    found = sorted(one.relative_to(top).with_suffix("") for one in top.glob("edgewright_agent/**/*.py"))
    names += [".".join(one.parts).removesuffix(".__init__") for one in found]
    assert len(names) > 50
    arguments = ["-I", "-S", "-B", "-c", IMPORT_ALL, json.dumps(folders), json.dumps(names)]
    done = subprocess.run([needs.python(version), *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (f"{AGENT.name}.{SHAPES}" in names) is not packed
