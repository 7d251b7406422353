"""Compiles a runtime to bytecode when it is unpacked: compiling is most of the cost of an import on a small board."""

import os
import py_compile
import sys

from edgewright_agent import shapes
from edgewright_agent.protocol import AgentError
from edgewright_agent.storage.integrity import sha256_of

LIMIT_SECONDS = 300.0


def compile_imported(
    runner: "shapes.Runner",  # noqa: ARG001 - the signature of a job
    job: "shapes.Task",
    stage: "shapes.Stage",  # noqa: ARG001
    say: "shapes.Say",  # noqa: ARG001
) -> "shapes.Result":
    """In a child that imported a runtime: write the bytecode of the runtime's files next to them."""
    top = job["folder"] + os.sep
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None) or ""
        if path.startswith(top) and path.endswith(".py"):
            py_compile.compile(path, doraise=True)
    return {}


def keep(
    files: "shapes.SessionFiles", relative: "str", target: "str", agent_sha: "str", runner: "dict[str, str]"
) -> "dict[str, shapes.FileRow]":
    """Have a child import the runtime in a folder. Returns {path: (sha256, size)} of the bytecode that it wrote.

    A runtime that cannot be imported is reported when a model is loaded, not here.
    """
    from edgewright_agent.processes import children  # the child that compiles does not need it

    base = files.path(relative)
    job: "shapes.Errand" = {
        "folder": base,
        "manifest": {},
        "target": target,
        "options": {},
        "runtime": {"path": base},
        "root": files.root,
        "agent_sha": agent_sha,
        "runner": runner,
    }
    try:
        children.run(job, {"do": "compile"}, lambda _: None, LIMIT_SECONDS)
    except AgentError:
        pass
    found = {}
    for where, _, names in os.walk(base):
        for path in [os.path.join(where, name) for name in names if where.endswith("__pycache__")]:
            found[os.path.relpath(path, base)] = sha256_of(path), os.path.getsize(path)
    return found
