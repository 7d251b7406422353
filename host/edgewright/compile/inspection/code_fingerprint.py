"""The fingerprint of the code that makes artifacts: changed code invalidates the cache."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import edgewright
import edgewright_agent
from edgewright.plugins import sources_of

# the packages that a conversion runs through: all that `compile` imports, except for a list of pip's messages
_LAYERS: tuple[str, ...] = (
    "compile",
    "config",
    "metrics",
    "nouns",
    "precisions",
    "sdk",
    "store",
    "error_codes.py",
    "errors.py",
    "file_hashes.py",
    "files.py",
    "plugins.py",
    "python_syntax.py",
    "record_names.py",
    "scratch_folder.py",
    "records.py",
    "targets.py",
)
_AGENT: tuple[str, ...] = ("protocol.py",)  # names, limits and the JSON parser that the host shares
_TARGETS = "edgewright_targets"


def fingerprint() -> str:
    """Hex sha256 over every source file of the host's converters and of all targets, as this process imported them.

    It does not matter which of them made an artifact, since a stage may call any other. So even a changed comment leads to
    new artifacts. Paths relative to the packages count; dates and the order of a folder do not.
    """
    return _IMPORTED


def of_plugins(packages: Iterable[str]) -> dict[str, str]:
    """Package -> hex sha256 over its files, for the plug-ins that take part in a conversion, as this process first read them.

    Args:
        packages: import names; empty ones, which stand for edgewright's own code, are skipped.
    """
    return {name: _plugin(name) for name in sorted(filter(None, packages))}


def unchanged() -> bool:
    """Whether the files still match the fingerprints: a worker that started late may have imported other versions."""
    return read() == fingerprint() and all(of(_named(name)) == kept for name, kept in _PLUGINS.items())


def read() -> str:
    """The fingerprint of the files' current contents."""
    return of(files())


def files() -> dict[str, Path]:
    """Name -> path of the files that count; names as `edgewright/compile/cache_key.py`."""
    parts = [("edgewright", Path(path), _LAYERS) for path in edgewright.__path__]
    parts += [("edgewright_agent", Path(path), _AGENT) for path in edgewright_agent.__path__]
    parts += [(_TARGETS, Path(path), ("",)) for path in importlib.import_module(_TARGETS).__path__]
    return {f"{name}/{file}": root / file for name, root, below in parts for file in _files(root, below)}


def of(named: dict[str, Path]) -> str:
    """Hex sha256 over the names and bytes of files; a file that no longer exists counts as absent."""
    found = hashlib.sha256()
    for name, path in sorted(named.items()):
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            continue
        found.update(f"{digest}  {name}\n".encode())
    return found.hexdigest()


def _plugin(package: str) -> str:
    if package not in _PLUGINS:
        _PLUGINS[package] = of(_named(package))
    return _PLUGINS[package]


def _named(package: str) -> dict[str, Path]:
    """Name -> path of the files of a plug-in's package that count, named as `edgewright_gemm/target.py`."""
    place = sources_of(package)
    if place is None:
        return {}
    return {name: place.parent / name for name in _files(place.parent, (place.name,))}


def _files(root: Path, names: tuple[str, ...]) -> Iterator[str]:
    """Paths below `root` of the named files and folders, without what Python and editors leave there."""
    for name in names:
        if (root / name).is_file():
            yield name
        yield from _below(str(root), name)


def _below(root: str, name: str) -> Iterator[str]:
    """Paths of the files below a folder, itself given below `root`. As strings: every command that converts walks all the code."""
    for folder, below, files_there in os.walk(f"{root}/{name}"):
        below[:] = [one for one in below if one != "__pycache__" and not one.startswith(".")]
        place = folder[len(root) :].strip("/")
        for file in files_there:
            if not file.startswith(".") and not file.endswith((".pyc", "~")):
                yield f"{place}/{file}" if place else file


_PLUGINS: dict[str, str] = {}
# Read at import: later, a file may differ from the code that this process is running.
_IMPORTED = read()
