"""Access to targets, edgewright's own and those of plug-ins: the host reaches targets only through this module.

`load(name)` returns a target's record without importing a framework. Its `runtimes` say which wheels run on which board
(`Target.runtimes_for`), best first. `module_name` resolves modules that a record names, such as `tflite.finish`;
they import their frameworks when they are called, in worker processes.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from edgewright.errors import Code
from edgewright.nouns.facts import Facts, RuntimeFact
from edgewright.nouns.target import Target
from edgewright.plugins import Entry, Registry
from edgewright.precisions import PRECISIONS
from edgewright.python_syntax import parse

GROUP = "edgewright.targets"
_PACKAGE = "edgewright_targets"
_PYTHON = re.compile(r"\d+\.\d+")
_PYTHONS = re.compile(r"\d+\.\d+-\d+\.\d+\Z")
_RUNNER = ("import_runtime", "accelerators", "prepare", "load")


def names() -> list[str]:
    """The usable targets, sorted."""
    return REGISTRY.names()


def load(name: str) -> Target:
    """The record of a target.

    Raises:
        UsageError: there is no such target (the hint lists those that exist), or it is a plug-in that cannot be used.
    """
    return REGISTRY.load(name)


def entry(name: str) -> Entry:
    """The declaration of a target. Raises UsageError if there is none with that name."""
    return REGISTRY.entry(name)


def plugin(name: str) -> str:
    """The package of a plug-in's target; empty for one of edgewright's own."""
    entry = REGISTRY.entry(name)
    return _package(entry).__name__ if entry.distribution else ""


def widest() -> list[str]:
    """The targets that compute in float64 and in 64-bit integers if the model does."""
    loaded = [load(name) for name in names()]
    return [target.name for target in loaded if target.float64 and target.integer_bits >= 64]


def system_distributions() -> list[str]:
    """Names of system runtimes that some target can use, sorted."""
    return sorted({one.distribution for name in names() for one in load(name).system})


def recognised(facts: Facts) -> Facts:
    """Facts in which each system runtime has its target; runtimes that no target knows keep what the agent reported."""
    found = tuple(
        msgspec.structs.replace(one, target=_system_target(one) or one.target) if one.system else one
        for one in facts.runtimes
    )
    return msgspec.structs.replace(facts, runtimes=found)


def _system_target(one: RuntimeFact) -> str:
    """The first target that covers a system runtime; edgewright's own take precedence over those of plug-ins."""
    own_first = sorted(names(), key=lambda name: (bool(REGISTRY.entry(name).distribution), name))
    covering = (name for name in own_first for row in load(name).system if row.covers(one.name, one.version))
    return next(covering, "")


def module_name(path: str) -> str:
    """The import name of a module that a record names as `<target>.<module>` or `_<shared folder>.<module>`."""
    head, _, rest = path.partition(".")
    entry = None if head.startswith("_") else REGISTRY.entry(head)
    return f"{_PACKAGE}.{path}" if entry is None else f"{_package(entry).__name__}.{rest}"


def folder(name: str) -> Path:
    """The folder of a target's own sources."""
    return _folder(_package(REGISTRY.entry(name)))


def runner(name: str) -> ModuleType:
    """The name of the target's runner. Raises UsageError as `load` does."""
    return importlib.import_module(module_name(load(name).runner))


def c_program(target: Target) -> Any:
    """The module that says how a C program runs artifacts of a target that has one."""
    return importlib.import_module(module_name(target.c_program))


def _own() -> dict[str, str]:
    """Edgewright's own targets: the folders of `edgewright_targets` except the shared ones."""
    package = importlib.import_module(_PACKAGE)
    found = (one.name for one in pkgutil.iter_modules(package.__path__) if one.ispkg)
    return {name: f"{_PACKAGE}.{name}.target:TARGET" for name in found if not name.startswith("_")}


def _package(entry: Entry) -> ModuleType:
    """The package of a target's modules: the package that the record's module is, or is in.

    Raises:
        ValueError: the module is not in a package.
    """
    module = importlib.import_module(entry.module)
    if hasattr(module, "__path__"):
        return module
    if not module.__package__:
        raise ValueError(f"module {entry.module} is in no package")
    return importlib.import_module(module.__package__)


def _folder(package: ModuleType) -> Path:
    return Path(next(iter(package.__path__)))


def _checked(entry: Entry, found: Any) -> Target:
    """Checks a record. For a plug-in, checks everything that is possible without importing its modules.

    Raises:
        ValueError: it is not a target's record, or names something that does not exist.
    """
    if not isinstance(found, Target):
        raise ValueError(f"{entry.value} is not an edgewright.sdk.Target")
    target = msgspec.convert(msgspec.to_builtins(found), Target)
    if target.name != entry.name:
        raise ValueError(f"the target at {entry.value} is named {target.name}")
    if entry.distribution:
        for problem in _problems(target, _folder(_package(entry))):
            raise ValueError(problem)
    return target


def _problems(target: Target, place: Path) -> Iterator[str]:
    unknown = [name for name in target.precisions if name not in PRECISIONS]
    if unknown:
        yield f"no such precision: {unknown[0]}"
    if not target.sources or not target.precisions:
        yield "it takes no source format, or has no precision"
    if Path(target.entry).name != target.entry or target.entry.startswith("."):
        yield f"entry is not a plain file name: {target.entry}"
    if target.host_runner and target.host_runner.startswith(f"{target.name}."):
        yield from _lacking(target.host_runner, ("load",), target.name, place)
    for row in target.runtimes:
        if not _PYTHONS.match(row.python):
            yield f"python of its runtime {row.distribution} {row.version} is not FIRST-LAST, such as 3.9-3.13: {row.python}"
    if target.wheel_python and not _PYTHON.fullmatch(target.wheel_python):
        yield f"wheel_python is not a version, such as 3.10: {target.wheel_python}"
    yield from _lacking(target.runner, _RUNNER, target.name, place)
    for stage in target.stages:
        yield from _lacking(stage, ("convert",), target.name, place)
    if target.steps:
        yield from _lacking(target.steps, ("tails",), target.name, place)
    if target.c_program:
        yield from _lacking(target.c_program, ("program",), target.name, place)
    if target.layers is not None:
        yield from _lacking(target.layers.module, ("shipped", "executed"), target.name, place)


def _lacking(module: str, functions: tuple[str, ...], name: str, place: Path) -> Iterator[str]:
    """What a module that a record names lacks of the functions that edgewright calls."""
    head, _, rest = module.partition(".")
    if head.startswith("_"):
        place, head = _folder(importlib.import_module(_PACKAGE)) / head, name
    if head != name:
        yield f"it names a module of another target: {module}"
        return
    file = place / f"{rest.replace('.', '/')}.py"
    if not file.is_file():
        yield f"it names a module that is not there: {module}"
        return
    defined = set(_defined(parse(file.read_bytes())))
    for function in functions:
        if function not in defined:
            yield f"{module} lacks the function {function}"


def _defined(tree: ast.Module) -> Iterator[str]:
    """Names at the top of a module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign):
            yield from (one.id for one in node.targets if isinstance(one, ast.Name))


REGISTRY = Registry(GROUP, "target", _own, _checked, Code.TARGET_UNKNOWN)
