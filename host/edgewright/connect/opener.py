"""Opens sessions, for a command that logs in to a board more than once."""

from __future__ import annotations

from edgewright.connect.session import Session, open_session
from edgewright.nouns.board import Board, Fleet
from edgewright.nouns.progress import Progress, silent
from edgewright.wire.transport import AskPassword


class Opener:
    """Opens sessions of one command, and asks for a board's password once.

    What let us in is given again at the next login to the same board, and to no other. It lives in memory, as
    long as this object.

    Args:
        ask: asked for a password or passphrase with a prompt; None: nobody can be asked.
    """

    def __init__(self, fleet: Fleet, ask: AskPassword | None = None, progress: Progress = silent) -> None:
        self._fleet = fleet
        self._ask = ask
        self._progress = progress
        self._known: dict[str, dict[str, str]] = {}  # by board, then by prompt; a board has one thread

    def __call__(self, board: Board) -> Session:
        """As `open_session`."""
        if self._ask is None:
            return open_session(board, self._fleet, progress=self._progress)
        login = Login(self._known.get(board.name, {}), self._ask)
        session = open_session(board, self._fleet, ask_password=login, progress=self._progress)
        self._known[board.name] = login.given
        return session


class Login:
    """The answers of one login: each known one first, then a person's.

    Attributes:
        given: the last answer to each prompt.
    """

    def __init__(self, known: dict[str, str], ask: AskPassword) -> None:
        self._known = dict(known)
        self._ask = ask
        self.given = dict(known)

    def __call__(self, prompt: str) -> str | None:
        """The answer to a prompt; None when there is none."""
        answer = self._known.pop(prompt, None) or self._ask(prompt)
        if answer:
            self.given[prompt] = answer
        return answer
