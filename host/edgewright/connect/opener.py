"""Opens sessions for a command that logs in to a board more than once."""

from __future__ import annotations

from collections.abc import Mapping

from edgewright.connect.session import Session, open_session
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.progress import Progress, silent
from edgewright.wire.transport import AskPassword

KEPT = ("password of ", "passphrase of ")  # prompts whose answer stays right; a one-time code does not


class Opener:
    """Opens sessions of one command, asking for each board's password only once.

    An answer that was accepted is used again at the next login to the same board, and to no other. It is kept in
    memory, as long as this object lives.

    Args:
        ask: called with a prompt for a password or passphrase; None if nobody can be prompted.
        known: what let us in before, of an earlier opener.

    Attributes:
        known: board -> prompt -> what let us in; a board has one thread.
    """

    def __init__(
        self,
        fleet: Fleet,
        ask: AskPassword | None = None,
        progress: Progress = silent,
        known: Mapping[str, dict[str, str]] | None = None,
    ) -> None:
        self._fleet = fleet
        self._ask = ask
        self._progress = progress
        self.known = dict(known or {})

    def __call__(self, board: Board) -> Session:
        """Opens a session, as `open_session` does."""
        if self._ask is None:
            return open_session(board, self._fleet, progress=self._progress)
        login = Login(self.known.get(board.name, {}), self._ask)
        session = open_session(board, self._fleet, ask_password=login, progress=self._progress)
        self.known[board.name] = login.given
        return session


class Login:
    """The answers for one login: each known answer first, then the user's.

    Attributes:
        given: the last answer to each prompt.
    """

    def __init__(self, known: dict[str, str], ask: AskPassword) -> None:
        self._known = dict(known)
        self._ask = ask
        self.given = dict(known)

    def __call__(self, prompt: str) -> str | None:
        """The answer to a prompt; None if there is none."""
        answer = self._known.pop(prompt, None) or self._ask(prompt)
        if answer and prompt.startswith(KEPT):
            self.given[prompt] = answer
        return answer
