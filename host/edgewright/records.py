"""Named records: one file each in a folder of edgewright's, or an entry point of an installed distribution.

To add one to edgewright, add a file to the folder: it is found by listing the folder, and imported when the record
is loaded. Dashes in a name become underscores in the file name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from edgewright.plugins import NAME, Entry, Failed, Registry, Unknown
from edgewright.record_names import own_names

R = TypeVar("R", bound=msgspec.Struct)


class Records(Registry[R]):
    """The records of one kind, as a mapping by name. To check for one of edgewright's own names, no metadata are read.

    Args:
        group: the entry-point group.
        kind: the word for one of them in messages.
        package: the package of edgewright's own records, one module each; its sub-folders hold shared code.
        attribute: name of the record in each module.
        record: its type; `name` is one of its fields.
        problem: returns what is wrong with a plug-in's record apart from the types of its fields; empty if nothing is.
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
        """Whether there is such a record. Raises as `load` does for a plug-in's record that cannot be used, since it was requested by name."""
        if not isinstance(name, str) or not NAME.match(name):
            return False
        try:
            self.load(name)
        except Unknown:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def plugin(self, name: str) -> str:
        """The module of a plug-in's record; empty for one of edgewright's own."""
        entry = self.entry(name)
        return entry.module if entry.distribution else ""

    def blame(self, name: str, reason: str) -> str:
        """A line about a plug-in's record whose code failed: its kind, name, distribution and the reason."""
        return f"{self.kind} {name} from {self.entry(name).distribution} failed: {reason}"

    def failed(self, name: str, reason: str) -> Failed:
        """The error for a plug-in's record whose code failed."""
        source = self.entry(name).distribution.split(" ")[0]
        return Failed(
            self.blame(name, reason), hint=f"update or uninstall {source}, or report it to who made it"
        )

    def values(self) -> list[R]:
        """All usable records, sorted by name."""
        return [self.load(name) for name in self.names()]

    def own(self) -> list[R]:
        """Edgewright's own records, sorted by name; reads no metadata."""
        return [self.load(name) for name in sorted(self._builtin)]

    def foreign(self) -> list[R]:
        """The usable records of installed plug-ins, sorted by name."""
        return [self.load(name) for name in self.names() if name not in self._builtin]


def _modules(package: str, attribute: str) -> dict[str, str]:
    """Name -> `module:attribute` of the records in a folder."""
    return {name: f"{module}:{attribute}" for name, module in own_names(package).items()}


class _Check:
    """Checks that an object is a record of the type, has its declared name, and has functions where they are required."""

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
        """Checks the fields' types: plug-ins are not checked by mypy, and a record's constructor does not check types."""
        for name, hint in get_type_hints(self._record).items():
            value = getattr(found, name)
            if not _is_function(hint):
                msgspec.convert(msgspec.to_builtins(value), hint)
            elif not callable(value) and not (value is None and type(None) in get_args(hint)):
                raise ValueError(f"its {name} is not a function")


def _is_function(hint: Any) -> bool:
    return any(get_origin(one) is Callable for one in (hint, *get_args(hint)))
