"""Results of `profiles` and `targets`."""

from __future__ import annotations

from edgewright.compile.route_matrix import Cell
from edgewright.nouns.base import Noun
from edgewright.nouns.profile import Profile
from edgewright.nouns.target import Target
from edgewright.plugins import Fault


class ProfilesListResult(Noun, frozen=True, kw_only=True):
    """`edgewright profiles list`."""

    profiles: tuple[Profile, ...]


class ProfilesShowResult(Noun, frozen=True, kw_only=True):
    """`edgewright profiles show`."""

    profile: Profile


class TargetsResult(Noun, frozen=True, kw_only=True):
    """`edgewright targets`: the targets, or with `--matrix` the routes from every source format to every target.

    `plugin_faults`: the plug-ins that cannot be used.
    """

    targets: tuple[Target, ...] = ()
    routes: tuple[Cell, ...] = ()
    plugin_faults: tuple[Fault, ...] = ()
