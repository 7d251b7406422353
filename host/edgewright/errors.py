"""The base error: what is wrong, what to do about it, a stable code and the exit code."""

from __future__ import annotations

from enum import IntEnum

from edgewright.error_codes import Code as Code


class Exit(IntEnum):
    """Exit codes of the command line, stable."""

    OK = 0
    ERROR = 1
    SOME_FAILED = 2  # some boards failed, or a gate refused
    UNREACHABLE = 4  # some boards unreachable, and none failed
    ABORTED = 8  # aborted, or stopped by the stop rule
    USAGE = 64


class EdgewrightError(Exception):
    """An error that a user can cause and can fix.

    Args:
        message: one lower-case line: what is wrong with which input; no full stop.
        hint: what to do about it.
        code: one of `Code`; for a board's error, the code from its agent.
    """

    code: str = Code.ERROR
    exit_code = Exit.ERROR

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = str(code or self.code)


class UsageError(EdgewrightError):
    """The command line, or a file that the user wrote, is not valid."""

    code = Code.USAGE
    exit_code = Exit.USAGE


class ConfigError(UsageError):
    """A TOML file has an unknown key, a wrong type or a value out of range."""

    code = Code.CONFIG


class ModelError(EdgewrightError):
    """The source model cannot be read, or does not match its name."""

    code = Code.MODEL


class DataError(EdgewrightError):
    """Calibration or evaluation data do not fit the model."""

    code = Code.DATA


class ConversionError(EdgewrightError):
    """A converter refused the model, crashed, or produced wrong results."""

    code = Code.CONVERSION


class ArtifactError(EdgewrightError):
    """An artifact's bytes and its manifest disagree, or its schema is newer than this version."""

    code = Code.ARTIFACT


class Unreachable(EdgewrightError):
    """The board did not answer, or the link broke."""

    code = Code.UNREACHABLE
    exit_code = Exit.UNREACHABLE


class TrustError(EdgewrightError):
    """The host key or the board's identity is unknown, or is not the pinned one."""

    code = Code.TRUST


class AuthError(EdgewrightError):
    """The board refused the key or the password."""

    code = Code.AUTH


class BoardError(EdgewrightError):
    """The board's agent answered with an error; `code` is the agent's own."""

    code = Code.BOARD


class TooLate(BoardError):
    """The board did not end a command within its time limit; the session is over, what became of it there is not known."""

    code = Code.TIMEOUT


class ProtocolError(EdgewrightError):
    """The other end does not speak this version of the wire protocol."""

    code = Code.PROTOCOL


class Aborted(EdgewrightError):
    """The user stopped the command before it changed anything."""

    code = Code.ABORTED
    exit_code = Exit.ABORTED


class LeftAtWork(EdgewrightError):
    """The user stopped twice without waiting: how the work ended is not known."""

    code = Code.LEFT
    exit_code = Exit.ABORTED


class InternalError(EdgewrightError):
    """A bug."""

    code = Code.INTERNAL


class GateRefused(EdgewrightError):
    """A release did not meet its budget, or answered wrongly, on the board."""

    code = Code.REFUSED
    exit_code = Exit.SOME_FAILED
