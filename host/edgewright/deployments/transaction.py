"""Transaction: the lease on a board, the trial of a release under it, and the commit. Only this module activates releases."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import TypeVar, cast

from edgewright.connect.session import Session
from edgewright.deployments.board_record import Trace
from edgewright.deployments.settlement import settle, settled
from edgewright.errors import EdgewrightError, TooLate, Unreachable
from edgewright.wire import commands
from edgewright.wire.answers import OnTrial, RolledBack
from edgewright.wire.commands import Command

A = TypeVar("A", OnTrial, RolledBack)
T = TypeVar("T")
LEASE_S = 60  # seconds; the session renews the lease, which expires this long after a board is cut off


class Transaction:
    """Holds the board's lease while the context is open; a lease that cannot be released expires by itself.

    Args:
        reopen: opens another session to the same board, to settle a lost acknowledgement.
        txn: the transaction of an earlier attempt, whose lease is taken over.
    """

    def __init__(
        self,
        session: Session,
        model: str,
        reopen: Callable[[], AbstractContextManager[Session]],
        txn: str = "",
    ) -> None:
        self.session = session
        self.model = model
        self.txn = txn or new_txn()
        self._reopen = reopen

    def __enter__(self) -> Transaction:
        self.session.call(self._begin)
        return self

    @property
    def _begin(self) -> commands.Begin:
        host = platform.node() or "unknown"
        return commands.Begin(model=self.model, txn=self.txn, host=host, ttl_s=LEASE_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(EdgewrightError):
            self.session.call(commands.End(txn=self.txn))

    def run_alone(self, command: Command[T]) -> T:
        """Runs the one command that needs the lease, with its beginning and end, in one round trip; the context is not open.

        Raises:
            BoardError: the board has another lease, or refused the command.
        """
        answers = self.session.call_all([self._begin, command, commands.End(txn=self.txn)])
        return cast(T, answers[1])

    def switch(self, command: Command[A], trace: Trace) -> None:
        """Moves `current` with an `activate` or `rollback`, then commits; if the answer is lost, asks the board again.

        Raises:
            BoardError: the board refused or reverted it. Unreachable: the command never reached the board, or the board does not answer.
        """
        trace.activating = True
        try:
            answer = self.session.call(command)
            trace.guard = answer.guard
            if isinstance(answer, RolledBack):
                trace.release = answer.release
            outcome = self.session.call(commands.Commit(txn=self.txn)).outcome
        except (Unreachable, TooLate):
            outcome = settle(self._reopen, self.txn)
        settled(trace, outcome, command.do, self.session.board.name)

    def discard(self, release: str) -> None:
        """Removes an unwanted release; if that fails, a later prune on the board removes it."""
        with suppress(EdgewrightError):
            self.session.call(commands.Discard(model=self.model, release=release, txn=self.txn))


def new_txn() -> str:
    """Creates the id of a new transaction."""
    return uuid.uuid4().hex
