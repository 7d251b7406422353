"""Loads profiles: those that come with edgewright, and the user's in `EDGEWRIGHT_HOME/profiles`."""

from __future__ import annotations

import difflib
from pathlib import Path

from edgewright.config import strict
from edgewright.config.home import home
from edgewright.errors import Code, ConfigError
from edgewright.nouns.profile import Profile


def folders() -> list[Path]:
    """Where profiles are looked for; the user's own come first."""
    import edgewright_profiles

    return [home() / "profiles", *(Path(path) for path in edgewright_profiles.__path__)]


def names() -> list[str]:
    """Names of all profiles, sorted."""
    return sorted({file.stem for folder in folders() if folder.is_dir() for file in folder.glob("*.toml")})


def load(name: str) -> Profile:
    """The profile of a name.

    Raises:
        ConfigError: no such profile, or its file is not valid.
    """
    if name not in names():
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean `{near[0]}`?" if near else "`edgewright profiles list` names them"
        raise ConfigError(f"unknown profile: {name}", hint=hint, code=Code.UNKNOWN_PROFILE)
    path = next(folder / f"{name}.toml" for folder in folders() if (folder / f"{name}.toml").is_file())
    profile = strict.read(path, Profile, what="profile")
    if profile.name != name:
        raise ConfigError(f"the profile {path} calls itself {profile.name}", hint=f"name = {name!r}")
    return profile
