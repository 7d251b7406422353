"""The agent knows no target and no runtime, except for hosts too old to name them."""

from __future__ import annotations

import ast
from pathlib import Path

from edgewright import targets

AGENT = Path(__file__).parents[2] / "agent/edgewright_agent"


def test_no_target_and_no_runtime_is_named_in_the_agent() -> None:
    loaded = [targets.load(name) for name in targets.names()]
    names = {*targets.names(), *targets.system_distributions()}
    names |= {row.distribution for target in loaded for row in target.runtimes}
    for file in {*AGENT.rglob("*.py")} - {AGENT / "board/old_hosts.py"}:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert node.value not in names, f"{file.name}:{node.lineno}"
