"""The folder that holds edgewright's state on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """`EDGEWRIGHT_HOME`, else the platform's user data folder. Does not create it."""
    chosen = os.environ.get("EDGEWRIGHT_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("edgewright", appauthor=False)


def folder(name: str) -> Path:
    """The folder `name` below `home()`, created if absent, readable by its owner only."""
    return made(home() / name)


def made(path: Path) -> Path:
    """Creates a folder and its missing parents for their owner only. Existing folders keep their mode: they may be shared
    on purpose.
    """
    if not path.is_dir():
        if path.parent != path:
            made(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    return path
