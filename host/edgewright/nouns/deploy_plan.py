"""DeployPlan: what a deployment does to which board, fixed before a board is touched. Kept in the journal, resumed from there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edgewright.errors import Code, EdgewrightError
from edgewright.nouns import schema as schemas
from edgewright.nouns.base import Noun
from edgewright.nouns.model_input import ModelInput
from edgewright.nouns.policy import ReleasePolicy
from edgewright_agent.protocol import HOOK_SECONDS

SCHEMA = 1
_NUL = b"\\u0000"  # as JSON has it: begins the escape of a byte that is not UTF-8; no path has it
T = TypeVar("T")


class AttachedFile(Noun, frozen=True, kw_only=True):
    """A file of this machine that a deployment sends."""

    path: Path
    sha256: str


class ReleaseOrder(Noun, frozen=True, kw_only=True):
    """What becomes of an artifact on a board.

    Attributes:
        model: its name there.
        policy: how it is released; its budget is the whole one for the board's profile.
        hooks: kind -> script. hook_s: seconds that each of them may take.
    """

    model: str
    version: str
    policy: ReleasePolicy
    hooks: dict[str, AttachedFile] = {}
    hook_s: float = HOOK_SECONDS


class BoardPlan(Noun, frozen=True, kw_only=True):
    """One board of a plan.

    Attributes:
        board_id: the id of the board that is meant; empty: none was seen yet.
        profile: name of the board's kind.
        artifact: id of the artifact.
        expected_current: the release that the order replaces, empty for none. Until the board was asked, which it is before
            anything on it is touched: the last one by the history, None where that does not know.
    """

    board: str
    board_id: str = ""
    profile: str
    artifact: str
    order: ReleaseOrder
    expected_current: str | None = None

    @property
    def release(self) -> str:
        """The release's name on the board."""
        return f"{self.order.version}-{self.artifact[:8]}"


class DeployPlan(Noun, frozen=True, kw_only=True):
    """A deployment.

    Attributes:
        nonce: makes the plan of each deployment unique.
        host: the machine that made it.
        model: what was converted, and what scores the boards' outputs.
        converted: the artifacts were made from `model`, they are not one that is shipped as it is.
        evaluation_sha256: of the evaluation set; empty without one.
        wheels: of the runtime, where they were given.
    """

    schema: int = SCHEMA
    nonce: str
    host: str
    fleet: str
    version: str
    model: ModelInput
    converted: bool = True
    evaluation_sha256: str = ""
    wheels: tuple[AttachedFile, ...] = ()
    boards: tuple[BoardPlan, ...]

    @property
    def id(self) -> str:
        """What a person types: the beginning of the hash."""
        return digest(canonical(self))[:12]

    def __hash__(self) -> int:
        return hash(canonical(self))


def canonical(record: DeployPlan | BoardPlan) -> bytes:
    """Canonical JSON: sorted keys, no spaces. Bytes of paths that are not UTF-8 are escaped."""
    try:
        document = msgspec.json.encode(record, enc_hook=str, order="sorted")
    except UnicodeEncodeError:
        document = _NUL
    if _NUL not in document:
        return document
    plain = msgspec.to_builtins(record, enc_hook=str, order="sorted")
    return msgspec.json.encode(_texts(plain, _escaped), order="sorted")


def digest(document: bytes) -> str:
    """Hex sha256 of a canonical document."""
    return hashlib.sha256(document).hexdigest()


def plan_from(document: bytes, sha256: str) -> DeployPlan:
    """The plan of a canonical document.

    Raises:
        EdgewrightError: `newer-schema`; or `plan-changed`: it is not what `sha256` was taken of, or no plan.
    """
    schemas.check(schemas.of_json(document), SCHEMA, "the plan", code="")
    return _decoded(document, sha256, DeployPlan, "the plan")


def board_from(document: bytes, sha256: str) -> BoardPlan:
    """As `plan_from`, for one board."""
    return _decoded(document, sha256, BoardPlan, "the plan of a board")


def _decoded(document: bytes, sha256: str, kind: type[T], what: str) -> T:
    hint = "it cannot be resumed: deploy again"
    if digest(document) != sha256:
        raise EdgewrightError(f"{what} was changed: its hash does not fit", hint=hint, code=Code.PLAN_CHANGED)
    try:
        if _NUL not in document:
            return msgspec.json.decode(document, type=kind, dec_hook=_path)
        return msgspec.convert(_texts(msgspec.json.decode(document), _unescaped), kind, dec_hook=_path)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise EdgewrightError(f"{what} is not valid: {error}", hint=hint, code=Code.PLAN_CHANGED) from error


def _texts(value: Any, change: Callable[[str], str]) -> Any:
    """The value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_texts(key, change): _texts(one, change) for key, one in value.items()}
    return [_texts(one, change) for one in value] if isinstance(value, (list, tuple)) else value


def _escaped(text: str) -> str:
    """NUL and the byte in hex for each byte that is not UTF-8, and for NUL itself."""
    return re.sub("[\0\udc80-\udcff]", lambda found: f"\0{ord(found[0]) & 0xFF:02x}", text)


def _unescaped(text: str) -> str:
    def byte(found: re.Match[str]) -> str:
        value = int(found[1], 16)
        return chr(0xDC00 + value) if value else "\0"

    return re.sub("\0([0-9a-f]{2})", byte, text)


def _path(kind: type[Any], value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"not a {kind.__name__}: {value!r}")
