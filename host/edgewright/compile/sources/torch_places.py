"""Locates an operator that a converter names: its layer and its line in the user's code."""

from __future__ import annotations

import re
from typing import Any

from edgewright.compile.workers.framework_errors import position_in

_OPERATOR = re.compile(r"\b(?:aten|prims)(?:::|\.)_?(\w+)")
_WRAPPED = "inner."  # name of the user's module inside the wrapper that takes plain tensors


def place(program: Any, text: str) -> str:
    """`, in layer encoder.norm, at net.py:12` for the first operator that a text names; empty if it names none of the program.

    Converters may also name the operators that an operator decomposes into.
    """
    named = set(_OPERATOR.findall(text))
    if not named:
        return ""
    return _place(program, named) or _place(program.run_decompositions(), named)


def _place(program: Any, named: set[str]) -> str:
    for node in program.graph.nodes:
        if node.op == "call_function" and _operator(node.target) in named:
            layer = _layer(node)
            return (f", in layer {layer}" if layer else "") + position_in(node.meta.get("stack_trace") or "")
    return ""


def _operator(target: Any) -> str:
    return str(getattr(target, "_opname", getattr(target, "__name__", target))).lstrip("_")


def _layer(node: Any) -> str:
    """The path of the module that a node comes from, as in `named_modules` of the user's module; empty for the module itself."""
    stack = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
    return str(stack[-1]).removeprefix(_WRAPPED.rstrip(".")).lstrip(".") if stack else ""
