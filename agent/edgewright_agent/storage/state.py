"""The state of the root folder, which is authoritative; the `current` links follow it.

Two checksummed slots are written in turn, each atomically. The newest good one counts. One lock (flock)
guards every change; it is held only for the change, never while waiting for anything.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import threading
import time

from edgewright_agent import shapes
from edgewright_agent.protocol import AgentError, Code
from edgewright_agent.storage.failures import STRANGE, failure
from edgewright_agent.storage.integrity import opened

SCHEMA = 1
SLOTS = ("state.0.json", "state.1.json")
LOCK_SECONDS = 15
MAX_STATE = 64 * 1024 * 1024
OUTCOMES = 500  # transactions whose outcome is kept
CRITICAL = threading.RLock()  # held during a change of the state; the end of the agent waits for it


def empty() -> "shapes.State":
    """The state of a new root folder."""
    return {
        "schema": SCHEMA,
        "sequence": 0,
        "lease": None,
        "models": {},
        "outcomes": [],
        "pending": [],
        "quiesced": [],
    }


def encode(state: "shapes.Record") -> "bytes":
    """A slot's bytes: a line with the sha256 of the rest, then the state."""
    body = json.dumps(state, sort_keys=True, indent=1).encode("ascii") + b"\n"
    return hashlib.sha256(body).hexdigest().encode("ascii") + b"\n" + body


def decode(data: "bytes") -> "shapes.Unchecked":
    """The state in a slot's bytes, or None if they are damaged."""
    checksum, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode("ascii") != checksum:
        return None
    try:
        state = json.loads(body.decode("ascii"))
    except (ValueError, RecursionError):
        return None
    whole = isinstance(state, dict) and all(isinstance(state.get(key), int) for key in ("schema", "sequence"))
    return state if whole else None


def model_of(state: "shapes.State", name: "str") -> "shapes.Model":
    """A model's record, created if there is none."""
    fresh: "shapes.Model" = {
        "current": None,
        "last_good": None,
        "known_good": [],
        "trial": None,
        "releases": {},
        "failed": [],
    }
    return state["models"].setdefault(name, fresh)


def known_model(state: "shapes.State", name: "str") -> "shapes.Model":
    """A model's record. Raises AgentError `not-found`."""
    if name not in state["models"]:
        raise AgentError(Code.NOT_FOUND, "no such model on this board: %s" % name)
    return state["models"][name]


def known_release(state: "shapes.State", name: "str", release: "str") -> "shapes.Release":
    """A release's record. Raises AgentError `not-found`."""
    releases = known_model(state, name)["releases"]
    if release not in releases:
        raise AgentError(Code.NOT_FOUND, "no such release of %s on this board: %s" % (name, release))
    return releases[release]


def put_right(state: "shapes.State") -> "shapes.State":
    """Correct the state: a known-good release is `committed`, whatever was recorded for it later; older agents could
    also leave `trial` behind."""
    for record in state["models"].values():
        for release, about in record["releases"].items():
            if release in record["known_good"]:
                about["state"] = "committed"
            elif about["state"] == "trial":
                about["state"] = "verified"
    return state


def outcome_of(state: "shapes.State", txn: "str") -> "str | None":
    """The recorded outcome of a transaction, or None."""
    return dict(state["outcomes"]).get(txn)


def settle(state: "shapes.State", txn: "str", outcome: "str") -> "None":
    """Record the outcome of a transaction."""
    state["outcomes"] = [entry for entry in state["outcomes"] if entry[0] != txn][1 - OUTCOMES :] + [
        (txn, outcome)
    ]


class Store(object):
    """Reads and writes the state.

    Attributes:
        problem: `state-lost` if slots exist and none is good, `newer-schema` if a newer agent wrote them,
            else empty. Nothing is saved while there is a problem.
        doubt: whether the last save failed: the readable state may not be durable.
    """

    def __init__(self, files: "shapes.Files") -> "None":
        self.files = files
        self.problem = ""
        self.doubt = False

    def _slots(self) -> "tuple[list[tuple[int, str, shapes.State]], bool]":
        """(sequence, slot name, state) of the good slots, newest last; and whether any slot file is there."""
        good: "list[tuple[int, str, shapes.State]]" = []
        there = False
        for name in SLOTS:
            try:
                with opened(self.files.path(name)) as file:
                    data = file.read(MAX_STATE)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno != errno.EIO and error.errno not in STRANGE:
                    raise failure(error, name, self.files.root)  # it may be the newest
                data = b""  # a bad sector, or no file: treat it as damaged
            there = True
            state = decode(data)
            if state is not None:
                good.append((state["sequence"], name, state))
        return sorted(good, key=lambda slot: slot[0]), there

    def there(self) -> "bool":
        """Whether any slot exists, even a damaged one."""
        return any(os.path.lexists(self.files.path(name)) for name in SLOTS)

    def _models_there(self) -> "bool":
        try:
            return bool(os.listdir(self.files.path("models")))
        except FileNotFoundError:
            return False

    def read(self) -> "shapes.State":
        """Read the state. Without the lock it may soon be out of date, but is never torn."""
        good, there = self._slots()
        self.problem = ""
        if not good:
            if there or self._models_there():
                self.problem = Code.STATE_LOST
            return empty()
        state = good[-1][2]
        if state["schema"] > SCHEMA:
            self.problem = Code.NEWER_SCHEMA
            return empty()
        return put_right(state)

    def usable(self) -> "None":
        """Raise AgentError if the state must not be changed."""
        if self.problem == Code.STATE_LOST:
            raise AgentError(
                Code.STATE_LOST,
                "both copies of the state are damaged",
            )
        if self.problem == Code.NEWER_SCHEMA:
            raise AgentError(
                Code.NEWER_SCHEMA,
                "a newer agent wrote the state of this board",
            )

    def save(self, state: "shapes.State", reset: "bool" = False) -> "None":
        """Make the state durable, in the slot that does not hold the newest one.

        Raises:
            AgentError: `state-lost` or `newer-schema`, unless `reset`; `io`; `disk-full`.
        """
        if not reset:
            self.usable()
        good, _ = self._slots()
        newest = good[-1] if good else (0, SLOTS[1], None)
        state["sequence"] = newest[0] + 1
        state["schema"] = SCHEMA
        self.doubt = True
        self.files.write(SLOTS[1 - SLOTS.index(newest[1])], encode(state))
        self.doubt = False

    def confirm(self) -> "None":
        """Make the readable state durable if the last save failed: a reported outcome must not change.

        Raises:
            AgentError: `io`, `disk-full`, `busy`: the outcome cannot be reported.
        """
        if self.doubt:
            with self.locked() as state:
                self.save(state)

    @contextlib.contextmanager
    def locked(self) -> "shapes.Iterator[shapes.State]":
        """The state, with the lock held. Changes take effect only when they are `save`d.

        Raises:
            AgentError: `busy`, if another agent holds the lock for too long.
        """
        with CRITICAL:
            file = self.files.open_lock("lock")
            try:
                take(file)
                yield self.read()
            finally:
                os.close(file)


def take(file: "int") -> "None":
    """Lock an open file; wait up to LOCK_SECONDS."""
    limit = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError:
            if time.monotonic() > limit:
                raise AgentError(Code.BUSY, "another session is changing this board")
        time.sleep(0.02)
