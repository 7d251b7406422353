"""Turns a board's refusal into an error with a hint: the agent knows what is wrong, the host what the user can do."""

from __future__ import annotations

import re
import shlex
from typing import Any

import msgspec

from edgewright.connect.agent.sanitize import clean
from edgewright.errors import BoardError, Code
from edgewright.wire.answers import About

MAX_TEXT = 2000  # characters of a board's text in an error
# Hints of old agents that are meant for programs: they name commands of the wire.
FOR_PROGRAMS = re.compile(r"`(begin|part|purge|reset|status|verify)`|\b(begin a new one|put (it|them))\b")

# What to do, if the cause that the agent reports is more specific than the code.
CAUSES = {
    (Code.ACCELERATOR_ABSENT, "elsewhere"): "convert it for that accelerator, or choose another one",
    (Code.CHILD_CRASHED, "killed"): "memory probably ran out: close other programs on the board; its kernel log says more",
    (Code.CHILD_CRASHED, "memory"): "close other programs on the board",
    (Code.DISK_FULL, "inodes"): "`edgewright fleet prune BOARD` removes old releases; or remove small files on the board",
    (Code.IO, "internal"): "this is a bug of the agent: report it with `edgewright logs BOARD`",
    (Code.IO, "owner"): "on the board: `sudo chown -R {login} {path}`, then run this again",
    (Code.IO, "mode"): "`edgewright fleet repair BOARD` changes it; or on the board: `chmod -R u+rwX {path}`",
    (Code.IO, "strange"): "`edgewright fleet repair BOARD` moves it aside",
    (Code.NO_GUARD, "long"): "`edgewright doctor BOARD --install-guard` installs one; or take at most 600 s, or --unguarded",
    (Code.NO_GUARD, "path"): "move the root folder (`root` in fleet.toml), or use --unguarded",
    (Code.RELEASE_DAMAGED, "strange"): "`edgewright fleet repair BOARD` moves the link aside; then deploy it again",
    (Code.ROOT_REFUSED, "owner"): "on the board: `sudo chown -R {login} {path}`, then run this again",
    (Code.ROOT_REFUSED, "mode"): "on the board: `chmod u+rwx {path}`, then run this again",
    (Code.ROOT_REFUSED, "open"): "on the board: `chmod go-w {path}`, then run this again",
    (Code.ROOT_REFUSED, "no-group"): "create it on the board (`groupadd {group}`), or remove `group` from fleet.toml",
    (Code.ROOT_REFUSED, "not-in-group"): "add the login to it on the board (`usermod -a -G {group} LOGIN`), then connect again",
}  # fmt: skip
# What to do, if it depends on the refused command.
COMMANDS = {
    (Code.BAD_ARGUMENT, ""): "correct `group` of this board in fleet.toml",  # a hello is refused for nothing else
    (Code.BAD_ARGUMENT, "activate"): "deploy it again",
    (Code.BAD_ARGUMENT, "evaluate"): "check that the evaluation set fits the model: inputs, shapes, finite numbers; or use fewer samples",
    (Code.BAD_ARGUMENT, "infer"): "check that the data fit the model: inputs, shapes, finite numbers; or use fewer samples",
    (Code.BAD_ARGUMENT, "provision"): "download the wheel again, or give another one: --wheel FILE",
    (Code.CONFLICT, "reset"): "`edgewright status BOARD` shows what runs there; `edgewright fleet repair BOARD` fixes what it can",
    (Code.LOAD_FAILED, "rollback"): "`edgewright logs BOARD` says what it found; choose another release: --to VERSION",
    (Code.NO_GUARD, "activate"): "--unguarded does without; `edgewright logs BOARD` may say more",
    (Code.REVERTED, "rollback"): "run this again when the board is less busy; `edgewright logs BOARD` says why it ended",
}  # fmt: skip


def board_error(error: object, do: str, board: str) -> BoardError:
    """The agent's error as a BoardError, with its text cleaned.

    Args:
        error: the error from the wire; a board may send anything.
        do: the command that was refused, empty before the greeting.
        board: the board's name.
    """
    given: dict[str, Any] = error if isinstance(error, dict) else {}
    code, message, own_hint = (_text(given.get(key)) for key in ("code", "message", "hint"))
    try:
        about = msgspec.convert(clean(given.get("about") or {}), About)
    except msgspec.ValidationError:
        about = About()
    code = code or Code.BOARD
    return BoardError(
        message or "the board's agent failed without a message",
        hint=hint(code, about, do, board, own_hint)[:MAX_TEXT],
        code=code,
    )


def _text(value: object) -> str:
    return str(clean(value or ""))[:MAX_TEXT]


def hint(code: str, about: About, do: str, board: str, own_hint: str = "") -> str:
    """What to do about an error.

    Args:
        own_hint: the agent's own hint. Old agents send one with details instead of `about`; an agent that sends an unknown
            code may be newer.
    """
    known = Code.of(code)
    if known is None:
        return own_hint or Code.BOARD.cure.replace("BOARD", board)
    if about.advice:
        return about.advice
    if own_hint and about == About() and not FOR_PROGRAMS.search(own_hint):
        return own_hint
    if about.usable:
        return f"this runtime can use: {', '.join(about.usable)}"
    text = CAUSES.get((known, about.cause)) or COMMANDS.get((known, do)) or known.cure
    text = text.replace("BOARD", board).replace("{group}", about.group)
    text = text.replace("{path}", shlex.quote(about.path)).replace("{login}", shlex.quote(about.login))
    if about.target:  # a board's profile may have another one first
        text = text.replace(f"provision {board}`", f"provision {board} --target {about.target}`")
    if about.left_s is not None:
        text += f", or wait {about.left_s:.0f} s for its lease to end"
    return f"{text}; the runtime's last output: {about.log}" if about.log else text
