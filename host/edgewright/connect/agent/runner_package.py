"""Packs the sources of a target's runner into one blob, addressed by content."""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import re
import threading
from pathlib import Path
from typing import NamedTuple

from edgewright import targets
from edgewright.connect.agent.compact import compact, parsed
from edgewright.connect.agent.package import source_folder
from edgewright.errors import Code, UsageError
from edgewright.nouns.base import Noun

PACKAGE = "edgewright_targets"


class Own(NamedTuple):
    """A plug-in's package: its name and folder."""

    package: str
    folder: Path

    def renamed(self, text: str, target: str) -> str:
        """A source in which imports of the package become imports of `edgewright_targets.<target>`."""
        found = re.compile(rf"^(\s*from ){re.escape(self.package)}(?=[. ])", re.MULTILINE)
        return found.sub(rf"\g<1>{PACKAGE}.{target}", text)


class RunnerPackage(Noun, frozen=True, kw_only=True):
    """A target's runner as it is sent to boards.

    Attributes:
        data: ASCII JSON, {name of a source: its text}, sorted, so that the bytes are reproducible.
        sha256: their hex digest, which is the runner's name on the board.
    """

    target: str
    data: bytes
    sha256: str


BUILDING = threading.Lock()  # several boards are handled in parallel, but a runner is packed once


def package(target: str) -> RunnerPackage:
    """This installation's runner for a target; does not import the target."""
    with BUILDING:
        return made(target)


@functools.cache
def made(target: str) -> RunnerPackage:
    """The package, built once per process."""
    plugin = targets.plugin(target)
    own = Own(package=plugin, folder=targets.folder(target)) if plugin else None
    return packed(target, sources(source_folder(PACKAGE), target, own))


def build(folder: Path, target: str) -> RunnerPackage:
    """The runner for a target, from the folder of `edgewright_targets`."""
    return packed(target, sources(folder, target))


def packed(target: str, found: dict[str, str]) -> RunnerPackage:
    """Packs these sources, named below `edgewright_targets`, with empty `__init__.py` files for their packages.

    The data are not compressed: another zlib version would change the hash.
    """
    inits = {(above / "__init__.py").as_posix(): "" for name in found for above in Path(name).parents}
    texts = {f"{PACKAGE}/{name}": compact(name, text) for name, text in {**inits, **found}.items()}
    data = json.dumps(texts, sort_keys=True, separators=(",", ":")).encode("ascii")
    return RunnerPackage(target=target, data=data, sha256=hashlib.sha256(data).hexdigest())


def sources(folder: Path, target: str, own: Own | None = None) -> dict[str, str]:
    """Name below `edgewright_targets` -> source text, for a target's runner and the modules that it imports from these packages.

    Args:
        own: a plug-in's package, which becomes `edgewright_targets.<target>` on boards; None if it is already there.

    Raises:
        UsageError: it imports something that is not a module of these packages.
    """
    found: dict[str, str] = {}
    wanted = [f"{target}/runner.py"]
    while wanted:
        name = wanted.pop()
        foreign = name.startswith(f"{target}/")
        file = own.folder / name.removeprefix(f"{target}/") if own and foreign else folder / name
        if not file.is_file():
            raise refused(target, f"imports what is no module: {name}")
        text = file.read_text("utf-8")
        found[name] = text if own is None else own.renamed(text, target)
        wanted += [one for one in imported(target, name, found[name], own) if one not in found]
    return found


def imported(target: str, name: str, source: str, own: Own | None) -> list[str]:
    """The files that a runner's source imports from `edgewright_targets` or the plug-in's package.

    Raises:
        UsageError: it imports them in another form than `from package import module`.
    """
    packages = (PACKAGE, own.package) if own else (PACKAGE,)
    found = []
    for node in ast.walk(parsed(name, source)):
        if isinstance(node, ast.Import):
            spelled = [one.name for one in node.names if below(one.name, packages)]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names = [module, *(f"{module}.{one.name}" for one in node.names)]
            ours = node.level > 0 or any(below(one, packages) for one in names)
            whole = module.startswith(f"{PACKAGE}.") and len(node.names) == 1
            spelled = [module] if ours and not whole else []
            if ours and whole:
                path = module.removeprefix(f"{PACKAGE}.").replace(".", "/")
                found.append(f"{path}/{node.names[0].name}.py")
        else:
            continue
        if spelled:
            raise refused(
                target, f"imports {spelled[0]} in a way that cannot be packed: {name}, line {node.lineno}"
            )
    return found


def below(module: str, packages: tuple[str, ...]) -> bool:
    """Whether a module is one of these packages, or inside one."""
    return any(module == one or module.startswith(f"{one}.") for one in packages)


def refused(target: str, what: str) -> UsageError:
    """The error for a runner with an import that cannot be packed."""
    return UsageError(
        f"the runner of {target} {what}",
        hint="its imports of its own package are `from package import module`, one a line",
        code=Code.RUNNER_IMPORTS,
    )
