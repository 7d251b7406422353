"""Fleet: the boards of a fleet file, or a selection of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from edgewright.api.arguments import StrPath
from edgewright.config import fleet as files
from edgewright.config.home import home
from edgewright.nouns import board, selector


class Fleet(board.Fleet, frozen=True, kw_only=True):
    """The boards of a fleet file. Functions work on all boards of the fleet they get: the whole fleet, or a `select`ion.

    Attributes:
        path: the file; the pins are in `<stem>.trust.toml` next to it.
        boards: by name, in the order of the file.
    """

    @classmethod
    def load(cls, path: StrPath | None = None) -> Self:
        """Reads a fleet file; without a path, `$EDGEWRIGHT_FLEET`, else `./fleet.toml`, else the one in edgewright's home folder.

        Raises:
            ConfigError: there is no such file, or a key or value in it is wrong.
        """
        found = files.load(fleet_path(path))
        return cls(name=found.name, path=found.path, boards=found.boards)

    def select(self, boards: str) -> Self:
        """The fleet with only the selected boards: names, `@label`, `name[01-20]` or `all`, joined by commas.

        Raises:
            UsageError: there is no such board or label.
        """
        chosen = selector.select(self, boards)
        return type(self)(name=self.name, path=self.path, boards={one.name: one for one in chosen})


def whole(fleet: board.Fleet) -> board.Fleet:
    """All boards of the fleet's file, even if only some are selected."""
    return files.load(fleet.path)


def fleet_path(given: StrPath | None) -> Path:
    """The fleet file: the given one, else from the environment, the working folder, or edgewright's home folder."""
    if given is not None:
        return Path(given)
    if os.environ.get("EDGEWRIGHT_FLEET"):
        return Path(os.environ["EDGEWRIGHT_FLEET"]).expanduser()
    here = Path("fleet.toml")
    own = home() / "fleet.toml"
    return own if own.exists() and not here.exists() else here
