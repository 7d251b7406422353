"""The profiles: the user's own in `EDGEWRIGHT_HOME/profiles`, edgewright's, and those of plug-ins.

A plug-in declares a package that contains `<name>.toml`.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from edgewright.config import strict
from edgewright.config.home import home
from edgewright.errors import Code, ConfigError
from edgewright.nouns.profile import Profile
from edgewright.plugins import Entry, Registry
from edgewright.precisions import PRECISIONS


def folders() -> list[Path]:
    """The folders that are searched before plug-ins; the user's own comes first."""
    return [home() / "profiles", *_own_folders()]


def names() -> list[str]:
    """Names of all profiles, sorted."""
    return sorted({*(file.stem for folder in folders() for file in _files(folder)), *PLUGINS.names()})


def load(name: str) -> Profile:
    """The profile with that name.

    Raises:
        ConfigError: no such profile, or its file is not valid.
        UsageError: the plug-in that declares it cannot be loaded.
    """
    for folder in folders():
        for file in _files(folder):
            if file.stem == name:
                return _read(file)
    if name in names() or any(fault.name == name for fault in PLUGINS.faults()):
        return PLUGINS.load(name)
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean `{near[0]}`?" if near else "`edgewright profiles list` names them"
    raise ConfigError(f"unknown profile: {name}", hint=hint, code=Code.UNKNOWN_PROFILE)


def known(name: str) -> bool:
    """Whether there is a profile with that name; plug-ins are consulted only if no other profile has it."""
    own = any(file.stem == name for folder in folders() for file in _files(folder))
    return own or name in PLUGINS.names()


def _own_folders() -> list[Path]:
    import edgewright_profiles

    return [Path(path) for path in edgewright_profiles.__path__]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.toml")) if folder.is_dir() else []


def _read(path: Path) -> Profile:
    profile = strict.read(path, Profile, what="profile")
    if profile.name != path.stem:
        raise ConfigError(f"the profile {path} calls itself {profile.name}", hint=f"name = {path.stem!r}")
    if profile.precision not in PRECISIONS:
        near = difflib.get_close_matches(profile.precision, PRECISIONS, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"precisions are {', '.join(PRECISIONS)}"
        raise ConfigError(f"profile {path}: unknown precision: {profile.precision}", hint=hint)
    return profile


def _of_plugin(entry: Entry, found: Any) -> Profile:
    folder = next(iter(getattr(found, "__path__", ())), None)
    if folder is None:
        raise ValueError(f"{entry.value} is not a package")
    file = Path(folder) / f"{entry.name}.toml"
    if not file.is_file():
        raise ValueError(f"package {entry.value} has no {file.name}")
    return _read(file)


PLUGINS: Registry[Profile] = Registry(
    "edgewright.profiles",
    "profile",
    lambda: {
        file.stem: "" for folder in _own_folders() for file in _files(folder)
    },  # names only; `load` does not load these from here
    _of_plugin,
)
