"""Where edgewright keeps its state on this machine."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """`EDGEWRIGHT_HOME`, else the platform's user data folder. Not made here."""
    chosen = os.environ.get("EDGEWRIGHT_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("edgewright", appauthor=False)


def folder(name: str) -> Path:
    """The folder `name` below `home()`, made when absent, readable by its owner only."""
    path = home() / name
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
