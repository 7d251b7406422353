"""Plug-ins: named objects that edgewright itself and installed distributions provide, all loaded the same way.

A `Registry` is one entry-point group, such as `edgewright.targets`. Edgewright's own objects are entries of the same
form, `module:attribute`. An object is imported when it is loaded. The metadata of installed distributions are read
only if a name is not one of edgewright's own, or to list all names.

A broken plug-in does not affect the others: `faults` lists it, and `load` refuses only its name.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from edgewright.errors import Code, EdgewrightError, UsageError
from edgewright.record_names import declares

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")
T = TypeVar("T")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The declaration of an object.

    Attributes:
        value: `module:attribute`.
        distribution: its name and version, such as `edgewright-gemm 1.0`; empty for edgewright's own.
    """

    name: str
    value: str
    distribution: str = ""

    @property
    def module(self) -> str:
        """The module that holds the object."""
        return self.value.partition("[")[0].partition(":")[0].strip()

    def read(self) -> Any:
        """Imports the module and returns the object. May raise any exception that the import raises."""
        attributes = self.value.partition("[")[0].partition(":")[2].strip()
        module = importlib.import_module(self.module)
        return functools.reduce(getattr, filter(None, attributes.split(".")), module)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A plug-in that cannot be used, with the reason in one lower-case line."""

    group: str
    name: str
    distribution: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} from {self.distribution} cannot be used: {self.reason}"


class Unknown(UsageError):
    """Nothing declares that name."""


class Unusable(UsageError):
    """The named plug-in cannot be used."""

    code = Code.PLUGIN_UNUSABLE

    def __init__(self, kind: str, fault: Fault) -> None:
        super().__init__(
            f"{kind} {fault}",
            hint=f"update or uninstall {fault.distribution.split(' ')[0]}",
        )
        self.fault = fault


class Failed(EdgewrightError):
    """A plug-in's code failed while running. Made by `Records.failed`."""

    code = Code.PLUGIN_UNUSABLE


class Registry(Generic[T]):
    """The objects of one group.

    Args:
        group: the entry-point group, such as `edgewright.targets`.
        kind: the word for one of them in messages, such as `target`.
        own: name -> `module:attribute` of edgewright's own objects. Plug-ins cannot use these names.
        check: `check(entry, object)` returns the validated object. For an unsuitable object it raises ValueError (as
            msgspec does) or an EdgewrightError, whose message is the reason.
        unknown: the error code for a name that nothing declares.
    """

    def __init__(
        self,
        group: str,
        kind: str,
        own: Callable[[], Mapping[str, str]],
        check: Callable[[Entry, Any], T],
        unknown: Code = Code.USAGE,
    ) -> None:
        self.group, self.kind, self.unknown = group, kind, unknown
        self._own, self._check = own, check
        self._loaded: dict[str, T | Fault] = {}
        self._loading = threading.RLock()  # boards are handled in parallel threads

    def names(self) -> list[str]:
        """Every usable name, sorted. Imports plug-ins to check them, but not edgewright's own objects."""
        broken = {fault.name for fault in self.faults()}
        return sorted({*self._builtin, *(self._plugins.keys() - broken)})

    def entry(self, name: str) -> Entry:
        """The declaration of a name; imports nothing.

        Raises:
            UsageError: no such name, or a plug-in's declaration is invalid.
        """
        if name in self._builtin:
            return self._builtin[name]
        if name in self._plugins:
            return self._plugins[name]
        for fault in self._misnamed:
            if fault.name == name:
                raise Unusable(self.kind, fault)
        raise Unknown(
            f"unknown {self.kind}: {name}",
            hint=f"{self.kind}s are {', '.join(self.names())}",
            code=self.unknown,
        )

    def load(self, name: str) -> T:
        """The validated object for a name. It is imported only once.

        Raises:
            UsageError: no such name, or a plug-in that cannot be used.
        """
        with self._loading:
            if name not in self._loaded:
                entry = self.entry(name)
                own = not entry.distribution
                self._loaded[name] = self._check(entry, entry.read()) if own else self._foreign(entry)
            found = self._loaded[name]
        if isinstance(found, Fault):
            raise Unusable(self.kind, found)
        return found

    def faults(self) -> list[Fault]:
        """The plug-ins that cannot be used, sorted by name. Imports all plug-ins, but none of edgewright's own objects."""
        found = list(self._misnamed)
        for name in self._plugins:
            try:
                self.load(name)
            except Unusable as error:
                found.append(error.fault)
        return sorted(found, key=lambda fault: (fault.name, fault.distribution))

    @functools.cached_property
    def _builtin(self) -> dict[str, Entry]:
        return {name: Entry(name=name, value=value) for name, value in self._own().items()}

    @functools.cached_property
    def _declared(self) -> dict[str, list[Entry]]:
        """Name -> its declarations in installed distributions."""
        if not declares(self.group):
            return {}
        from importlib import metadata

        found: dict[str, list[Entry]] = {}
        for point in metadata.entry_points(group=self.group):
            dist = point.dist
            source = "an unnamed distribution" if dist is None else f"{dist.name} {dist.version}"
            entry = Entry(name=point.name, value=point.value, distribution=source)
            found.setdefault(point.name, []).append(entry)
        return dict(sorted(found.items()))

    @functools.cached_property
    def _plugins(self) -> dict[str, Entry]:
        """The plug-ins whose name is allowed."""
        return {name: found[0] for name, found in self._declared.items() if not self._conflict(name)}

    @functools.cached_property
    def _misnamed(self) -> list[Fault]:
        """The plug-ins whose name is not allowed."""
        return [
            self._fault(entry, self._conflict(name))
            for name, entries in self._declared.items()
            for entry in entries
            if self._conflict(name)
        ]

    def _conflict(self, name: str) -> str:
        """Why plug-ins cannot use a name; empty if one can."""
        if name in self._builtin:
            return f"edgewright's own {self.kind} has that name"
        sources = [entry.distribution for entry in self._declared[name]]
        if len(sources) > 1:
            return f"it is declared more than once: by {', '.join(sorted(sources))}"
        return "" if NAME.match(name) else "a name is at most 64 lower-case letters, digits, `-` and `_`"

    def _foreign(self, entry: Entry) -> T | Fault:
        """Loads a plug-in's object. Foreign code may fail in any way."""
        try:
            return self._check(entry, entry.read())
        except EdgewrightError as error:
            reason = error.message
        except ValueError as error:
            reason = str(error)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises when it is imported
            reason = f"{type(error).__name__}: {error}"
        return self._fault(entry, next(iter(reason.splitlines()), "") or "it gives no reason")

    def _fault(self, entry: Entry, reason: str) -> Fault:
        return Fault(group=self.group, name=entry.name, distribution=entry.distribution, reason=reason)


def sources_of(module: str) -> Path | None:
    """The files that a plug-in's results depend on: the folder of its module's package, or the module's own file.

    The package is the outermost one with an `__init__.py`, as others may share a namespace package. None if it is not in files.
    """
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        spec = importlib.util.find_spec(".".join(parts[:depth]))
        if spec is None:
            return None
        if spec.origin is not None:
            return Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
    return None
