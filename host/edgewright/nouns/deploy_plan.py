"""DeployPlan: what a deployment does to each board, fixed before any board is touched, kept in the journal and resumed from it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from edgewright.errors import Code, EdgewrightError
from edgewright.nouns import schema as schemas
from edgewright.nouns.base import Noun
from edgewright.nouns.model_input import ModelInput
from edgewright.nouns.policy import ReleasePolicy
from edgewright_agent.protocol import HOOK_SECONDS

SCHEMA = 1
_NUL = b"\\u0000"  # in JSON, starts the escape of a byte that is not UTF-8; paths cannot contain NUL
T = TypeVar("T")


class AttachedFile(Noun, frozen=True, kw_only=True):
    """A file on this machine that a deployment sends."""

    path: Path
    sha256: str


class ReleaseOrder(Noun, frozen=True, kw_only=True):
    """How to release an artifact on a board.

    Attributes:
        model: its name on the board.
        policy: how it is released; includes the complete budget for the board's profile.
        hooks: kind -> script.
        hook_s: time limit of each hook, s.
    """

    model: str
    version: str
    policy: ReleasePolicy
    hooks: dict[str, AttachedFile] = {}
    hook_s: float = HOOK_SECONDS

    @property
    def hook_limit_s(self) -> float:
        """`hook_s` as boards get it: 0 for the default, since an agent that an administrator installed may not know the argument."""
        return 0.0 if self.hook_s == HOOK_SECONDS else self.hook_s


class BoardPlan(Noun, frozen=True, kw_only=True):
    """One board of a plan.

    Attributes:
        board_id: the board's id; empty if it has not been seen yet.
        profile: name of the board's kind.
        artifact: id of the artifact.
        expected_current: the release that the order replaces, empty for none. Taken from the history (None if unknown)
            until the board is asked, which happens before anything on it is touched.
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


class DeployPlan(Noun, frozen=True, kw_only=True, dict=True):  # `dict` for what is cached
    """A deployment.

    Attributes:
        nonce: makes the plan of each deployment unique.
        host: the machine that made it.
        model: the model to convert, with the data that score the boards' outputs.
        converted: the artifacts were made from `model`, rather than given as an artifact.
        evaluation_sha256: of the evaluation set; empty without one.
        metric_sha256: of the file of the user's own metric; unset without one, and in plans of earlier versions.
        wheels: wheels of the runtime, if given.
    """

    schema: int = SCHEMA
    nonce: str
    host: str
    fleet: str
    version: str
    model: ModelInput
    converted: bool = True
    evaluation_sha256: str = ""
    metric_sha256: str | UnsetType = UNSET  # not in the document, so that ids of earlier plans stay
    wheels: tuple[AttachedFile, ...] = ()
    boards: tuple[BoardPlan, ...]

    @cached_property
    def id(self) -> str:
        """The id that users type: the beginning of the hash."""
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
        EdgewrightError: `newer-schema`; or `plan-changed`: it does not match `sha256`, or is not a plan.
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
    """The value with `change` applied to every text in it."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_texts(key, change): _texts(one, change) for key, one in value.items()}
    return [_texts(one, change) for one in value] if isinstance(value, (list, tuple)) else value


def _escaped(text: str) -> str:
    """Escapes NUL, and each byte that is not UTF-8, as NUL and the byte in hex."""
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
