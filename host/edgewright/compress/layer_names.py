"""Names of layers in recipes."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from edgewright.errors import Code, UsageError
from edgewright.nouns.listing import listed

_MOST = 20  # layers that a hint lists


def check_known(names: Iterable[str], known: Collection[str], option: str, who: str = "network") -> None:
    """Raises UsageError for the first name that is not known; its hint has the nearest ones.

    Args:
        option: of the step that names them. who: has the layers.
    """
    for name in names:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known)
        hint = f"the nearest: {', '.join(near)}" if near else f"its layers: {listed(list(known), most=_MOST)}"
        raise UsageError(f"`{option}`: the {who} has no such layer: {name}", hint=hint, code=Code.RECIPE)
