"""Refuses what failed on a board before, with exactly the same parts, before anything is sent. The board refuses it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.connect.agent import runner_package
from edgewright.errors import Code, GateRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgewright.nouns.deploy_plan import ReleaseOrder
    from edgewright.runtimes.install import RuntimeChoice
    from edgewright.wire.answers import Failure


def refuse(
    failures: Sequence[Failure], artifact: str, target: str, order: ReleaseOrder, choice: RuntimeChoice
) -> None:
    """Compares a planned release with the failures that the board's `status` lists.

    Raises:
        GateRefused: `failed-before`.
    """
    runtime = f"{choice.ref} {choice.version}" if choice.ref.startswith("system:") else choice.ref
    hooks: dict[str, str | float] = {kind: hook.sha256 for kind, hook in order.hooks.items()}
    if limit := order.hook_limit_s:
        hooks["hook_s"] = limit
    for failure in failures:
        if (failure.artifact, failure.runtime) != (artifact, runtime):
            continue
        if failure.hooks is None:  # independent of the hooks, but another runner may do better
            same = failure.runner == runner_package.package(target).sha256
        else:
            same = failure.hooks == hooks
        if same:
            raise GateRefused(
                f"this artifact failed on this board before: {failure.why}",
                hint=Code.FAILED_BEFORE.cure,
                code=Code.FAILED_BEFORE,
            )
