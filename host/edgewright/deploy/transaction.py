"""Transaction: the lease on a board, the trial of a release under it, and the commit. The one place that activates."""

from __future__ import annotations

import platform
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import TypeVar

from edgewright.connect.session import Session
from edgewright.deploy.board_record import Trace
from edgewright.deploy.settlement import settle, settled
from edgewright.errors import EdgewrightError, Unreachable
from edgewright.wire import commands
from edgewright.wire.answers import OnTrial, RolledBack
from edgewright.wire.commands import Command

A = TypeVar("A", OnTrial, RolledBack)
LEASE_S = 60  # the session renews it; this is what is left of it when a board is cut off


class Transaction:
    """Holds the board's lease while its context lives; a lease that cannot be given back expires by itself.

    Args:
        reopen: opens another session to the same board, to settle an acknowledgement that was lost.
        txn: that of an earlier attempt; its lease is taken over.
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
        host = platform.node() or "unknown"
        self.session.call(commands.Begin(model=self.model, txn=self.txn, host=host, ttl_s=LEASE_S))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(EdgewrightError):
            self.session.call(commands.End(txn=self.txn))

    def switch(self, command: Command[A], trace: Trace) -> None:
        """Moves `current` by an `activate` or `rollback`, then commits; a lost answer is settled by asking again.

        Raises:
            BoardError: the board refused, or reverted it. Unreachable: the board never saw it, or cannot be asked.
        """
        trace.activating = True
        try:
            answer = self.session.call(command)
            trace.guard = answer.guard
            if isinstance(answer, RolledBack):
                trace.release = answer.release
            outcome = self.session.call(commands.Commit(txn=self.txn)).outcome
        except Unreachable:
            outcome = settle(self._reopen, self.txn)
        settled(trace, outcome, command.do, self.session.board.name)

    def discard(self, release: str) -> None:
        """Removes a release that is not wanted; a board that cannot any more prunes it later."""
        with suppress(EdgewrightError):
            self.session.call(commands.Discard(model=self.model, release=release, txn=self.txn))


def new_txn() -> str:
    """The name of a transaction."""
    return uuid.uuid4().hex
