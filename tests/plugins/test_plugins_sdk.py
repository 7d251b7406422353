"""Plug-ins import only the sdk from edgewright, and it imports little."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = ("numpy", "onnx", "tensorflow", "torch", "openvino", "sqlalchemy", "paramiko", "typer")


def imported(text: str) -> Iterator[str]:
    """The modules of edgewright that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(text)):
        names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (name for name in names if name.split(".")[0] == "edgewright")


def is_sdk(name: str) -> bool:
    return name == "edgewright.sdk" or name.startswith("edgewright.sdk.")


def test_the_example_imports_the_sdk_alone() -> None:
    found = {
        f"{file.name}: {name}"
        for file in (ROOT / "tests/plugins/acme").rglob("*.py")
        for name in imported(file.read_text())
    }
    assert {"linear.py: edgewright.sdk.formats", "records.py: edgewright.sdk.metrics"} <= found
    assert not [one for one in found if not is_sdk(one.partition(": ")[2])]


def test_the_page_names_the_sdk_alone() -> None:
    text = (ROOT / "docs/plugins.md").read_text()
    shown = [
        name for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) for name in imported(block)
    ]
    named = re.findall(r"\(`(edgewright\.[\w.]+)`\)", text)
    assert shown and len(named) > 4
    assert all(is_sdk(name) for name in (*shown, *named))


def test_the_sdk_for_records_is_light() -> None:
    modules = "edgewright.sdk, edgewright.sdk.formats, edgewright.sdk.metrics, edgewright.sdk.transports"
    program = f"import sys, {modules}; print([name for name in {HEAVY} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
