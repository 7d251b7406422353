"""Records by name: one file each in a folder of edgewright's, or an entry point of an installed distribution.

To add one of edgewright's own, add a file to its folder: it is found by the folder's listing and imported when its
name is asked for. Dashes of a name are underscores in the name of its file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from edgewright.plugins import NAME, Entry, Failed, Registry, Unknown

R = TypeVar("R", bound=msgspec.Struct)


class Records(Registry[R]):
    """The records of one kind by name, like a mapping. Whether a name is one of edgewright's own reads no metadata.

    Args:
        group: the entry-point group.
        kind: what one of them is called in messages.
        package: folder of edgewright's own, a module each; folders in it hold what they share.
        attribute: name of the record in each module.
        record: its type; `name` is one of its fields.
        problem: what is wrong with a plug-in's record beside the types of its fields; empty: nothing.
    """

    def __init__(
        self, group: str, kind: str, package: str, attribute: str, record: type[R],
        problem: Callable[[R], str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(group, kind, lambda: _modules(package, attribute), _Check(record, problem))

    def __getitem__(self, name: str) -> R:
        """As `load`: an unknown name is a UsageError."""
        return self.load(name)

    def __contains__(self, name: object) -> bool:
        """Whether there is one. A plug-in's that cannot be used is refused as `load` does: somebody asked for it."""
        if not isinstance(name, str) or not NAME.match(name):
            return False
        try:
            self.load(name)
        except Unknown:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())

    def plugin(self, name: str) -> str:
        """The module of a plug-in's record; empty for edgewright's own."""
        entry = self.entry(name)
        return entry.module if entry.distribution else ""

    def blame(self, name: str, reason: str) -> str:
        """One line about a plug-in's record whose code failed: its kind, name and distribution, and why."""
        return f"{self.kind} {name} from {self.entry(name).distribution} failed: {reason}"

    def failed(self, name: str, reason: str) -> Failed:
        """The error for a plug-in's record whose code failed."""
        source = self.entry(name).distribution.split(" ")[0]
        return Failed(
            self.blame(name, reason), hint=f"update or uninstall {source}, or report it to who made it"
        )

    def values(self) -> list[R]:
        """All that can be used, sorted by name."""
        return [self.load(name) for name in self.names()]

    def own(self) -> list[R]:
        """Edgewright's own, sorted by name; no metadata are read."""
        return [self.load(name) for name in sorted(self._builtin)]

    def foreign(self) -> list[R]:
        """Those of installed plug-ins that can be used, sorted by name."""
        return [self.load(name) for name in self.names() if name not in self._builtin]


def _modules(package: str, attribute: str) -> dict[str, str]:
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    return {one.name.replace("_", "-"): f"{package}.{one.name}:{attribute}" for one in found if not one.ispkg}


class _Check:
    """Whether an object is a record of the type, named as it is declared, with functions where there have to be some."""

    def __init__(self, record: type[Any], problem: Callable[[Any], str] | None) -> None:
        self._record, self._problem = record, problem

    def __call__(self, entry: Entry, found: Any) -> Any:
        what = self._record.__name__
        if not isinstance(found, self._record):
            raise ValueError(f"{entry.value} is not a {what}")
        if found.name != entry.name:
            raise ValueError(f"the {what} {entry.value} is named {found.name}")
        if entry.distribution:
            self._check_fields(found)
            if self._problem is not None and (problem := self._problem(found)):
                raise ValueError(problem)
        return found

    def _check_fields(self, found: Any) -> None:
        """Plug-ins are not checked by mypy, and a record's constructor looks at no type."""
        for name, hint in get_type_hints(self._record).items():
            value = getattr(found, name)
            if not _is_function(hint):
                msgspec.convert(msgspec.to_builtins(value), hint)
            elif not callable(value) and not (value is None and type(None) in get_args(hint)):
                raise ValueError(f"its {name} is not a function")


def _is_function(hint: Any) -> bool:
    return any(get_origin(one) is Callable for one in (hint, *get_args(hint)))
