"""Settles an activation whose acknowledgement was lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from edgewright.connect.agent.refusals import hint
from edgewright.connect.session import Session
from edgewright.deployments.board_record import Trace
from edgewright.errors import BoardError, Code, TooLate, Unreachable
from edgewright.wire import commands
from edgewright.wire.answers import About

SETTLE_PAUSE_S = 2.0  # seconds between two attempts to ask for the outcome of an activation


def settle(reopen: Callable[[], AbstractContextManager[Session]], txn: str, attempts: int = 3) -> str:
    """Finds the outcome of a transaction whose acknowledgement was lost; commits it if it is still on trial.

    Returns:
        `committed`, `reverted`, or `unknown` if the transaction never reached the board.

    Raises:
        Unreachable: the board did not answer.
    """
    for attempt in range(attempts):
        if attempt:
            time.sleep(SETTLE_PAUSE_S)
        try:
            with reopen() as session:
                outcome = session.call(commands.AskOutcome(txn=txn)).outcome
                if outcome == "trial":
                    outcome = session.call(commands.Commit(txn=txn)).outcome
                return outcome
        except (Unreachable, TooLate):
            continue
    raise Unreachable(
        "the link broke during the activation, and the board does not answer",
        hint="it commits or reverts by itself within the deadline: `edgewright status` tells",
    )


def settled(trace: Trace, outcome: str, do: str, board: str) -> None:
    """Ends the activation in the trace, and raises an error unless it was committed.

    Args:
        do: the command that activated, `activate` or `rollback`. board: the board's name.

    Raises:
        BoardError: the board reverted it.
        Unreachable: the link broke before the activation reached the board.
    """
    trace.activating = False
    if outcome == "committed":
        return
    if outcome == "reverted":
        raise BoardError(
            "the commit came too late: the board has put the old release back",
            hint=hint(Code.REVERTED, About(), do, board),
            code=Code.REVERTED,
        )
    raise Unreachable("the link broke before the board activated anything", hint="run it again")
