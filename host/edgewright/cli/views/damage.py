"""Describes damage on boards' disks, with a line and a hint for each."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping

from edgewright.connect.agent.refusals import hint
from edgewright.errors import Code
from edgewright.wire.answers import Damage, StatusModel

AGAIN = "deploy it again: --version VERSION"
ANOTHER = "deploy it under another version: --version VERSION"
BACK = "; or `edgewright rollback MODEL --on BOARD`"


def lines(
    board: str, found: Collection[Damage], models: Mapping[str, StatusModel] | None = None
) -> list[str]:
    """A line for each damage and a line for its hint, without duplicates.

    Args:
        models: what the board runs; a damaged release that is current cannot be replaced under its own version.
    """
    shown: list[str] = []
    damaged = {(one.model, one.release) for one in found if one.code == Code.RELEASE_DAMAGED}
    for one in found:
        cure = hint(one.code, one.about, "", board)
        model = (models or {}).get(one.model)
        if one.code == Code.RELEASE_DAMAGED and not one.about.cause and model is not None:
            cure = again(one.model, model, one.release, damaged).replace("BOARD", board)
        shown += [line for line in (f"{board}: {one.message}", f"hint: {cure}") if line not in shown]
    return shown


def again(name: str, model: StatusModel, release: str, damaged: Container[tuple[str, str]]) -> str:
    """How to get a damaged release back; a rollback is advised only if a release that is not damaged is left."""
    if model.current != release:  # its version is named: the same artifact may be current under another one
        about = model.releases.get(release)
        return (
            AGAIN.replace("VERSION", about.version) if about and about.version else Code.RELEASE_DAMAGED.cure
        )
    left = [known for known in model.known_good if known != release and (name, known) not in damaged]
    return ANOTHER + (BACK.replace("MODEL", name) if left else "")
