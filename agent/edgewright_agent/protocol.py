"""Wire, version 1: names and limits that host and agent share. See docs/wire.md.

JSON, one object a line, over the SSH exec channel's stdin and stdout; stderr is log. File bytes travel
raw on the same stream, after the line that announces them.
"""

import hashlib
import json
import re

from edgewright_agent import shapes

VERSION = 1
MANIFEST_SCHEMA = 2

MAX_LINE = 1024 * 1024  # bytes of one JSON line
# Whole numbers in a line or a manifest are below it, either way: SQL keeps them, and a float takes them.
MAX_WHOLE = 2**63
MAX_NOISE = 64 * 1024  # bytes that the host skips before the greeting
GREETING_SECONDS = 30
HEARTBEAT_SECONDS = 5  # the agent says something at least this often while it works
SILENCE_SECONDS = 30  # no word for so long is a dead link, on both sides
PIECE = 256 * 1024  # bytes read or written at once
MAX_MANIFEST = 4 * 1024 * 1024  # bytes of a manifest.json
MAX_FILE = 16 * 1024**3  # bytes of one file
MAX_FILES = 20000  # files in one artifact or runtime
SPARE_BYTES = 8 * 1024 * 1024  # what uploads and runtimes leave free for the state, the log and a revert
SPARE_INODES = 64
MAX_SLICES = 4096  # with separate limits, in all outputs of a manifest
MAX_LOST = 16  # slices that an answer names
WORST_DB = -200.0  # stands for not a number, or signal where the reference has none
MAX_RUNNER = 256 * 1024  # bytes of one runner
RUNNERS = "runners.json"  # member of an administrator's .pyz: {target: the runner's text}
HOOK_SECONDS = 60.0  # the limit of one hook, where its release says no other

NO_PYTHON_EXIT = 93  # exit code of the start command where no python3 is found
NO_HELLO_EXIT = 92  # exit code of BOOT where descriptor 0 ends before the hello line does

# The program after `python3 -I -S -B -c`: one line, and no quote, dollar, backslash or exclamation mark
# in it, so that
# it may stand in double quotes inside single quotes. It reads byte by byte, since what follows the
# hello is not its own.
BOOT = (
    "import os,json;"
    "h=json.loads(bytes().join(iter(lambda:os.read(0,1)or os._exit(92),bytes([10]))).decode());"
    "exec(h[min(dict(loader=0))],dict(hello=h,__name__=min(dict(edgewright_loader=0))))"
)
# The .pyz's own `__main__.py`: it reads the file once and runs those bytes, as the loader does.
PYZ_MAIN = """import io, json, sys, zipfile

with open(sys.argv[0], "rb") as file:
    data = file.read()
loader = {"__name__": "edgewright_loader"}
with zipfile.ZipFile(io.BytesIO(data)) as archive:
    exec(json.loads(archive.read("sources.json").decode("ascii"))["edgewright_agent/loader.py"], loader)
loader["install"](data)
from edgewright_agent.__main__ import main

main(data)
"""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")  # models and versions
SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class Code(object):
    """The codes of the errors that an agent reports. What they mean, and what to do: docs/errors.md, by the host."""

    ACCELERATOR_ABSENT = "accelerator-absent"
    BAD_ARGUMENT = "bad-argument"
    BAD_MANIFEST = "bad-manifest"
    BUSY = "busy"
    CHILD_CRASHED = "child-crashed"
    CONFLICT = "conflict"
    DISK_FULL = "disk-full"
    FAILED_BEFORE = "failed-before"
    HASH_MISMATCH = "hash-mismatch"
    HOOK_FAILED = "hook-failed"
    IN_USE = "in-use"
    IO = "io"
    LOAD_FAILED = "load-failed"
    NEWER_SCHEMA = "newer-schema"
    NO_GUARD = "no-guard"
    NOT_FOUND = "not-found"
    NOTHING_TO_ROLL_BACK = "nothing-to-roll-back"
    PROTOCOL = "protocol"
    RELEASE_DAMAGED = "release-damaged"
    REVERTED = "reverted"
    ROOT_REFUSED = "root-refused"
    RUNNER_MISSING = "runner-missing"
    RUNNER_REFUSED = "runner-refused"
    RUNTIME_DAMAGED = "runtime-damaged"
    RUNTIME_MISSING = "runtime-missing"
    SLOW_START = "slow-start"
    STATE_LOST = "state-lost"
    TIMEOUT = "timeout"
    UNKNOWN_COMMAND = "unknown-command"


class AgentError(Exception):
    """An error that the agent reports to the host, which knows what to do about it.

    Args:
        code: one of Code.
        message: what is wrong with which input, one lower-case line.
        about: what the host may need besides: `cause` (a word that tells errors of a code apart), `group`, `usable`
            (accelerators), `left_s` (of a lease), `advice` (a runner's own), `log` (the last words of a runtime).
    """

    def __init__(self, code: "str", message: "str", **about: "object") -> "None":
        Exception.__init__(self, message)
        self.code = code
        self.message = message
        self.about = about

    def wire(self) -> "shapes.Result":
        """As the wire has it."""
        found: "shapes.Result" = {"code": self.code, "message": self.message}
        return {**found, "about": self.about} if self.about else found


def encode(message: "shapes.Record") -> "bytes":
    """One JSON object as a line of ASCII bytes, newline included."""
    return json.dumps(message, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def bounded(value: "shapes.Number", limit: "float") -> "shapes.Number":
    """A number of JSON below a limit, either way; NaN is not."""
    if not abs(value) < limit:
        raise ValueError("a number is out of range")
    return value


def whole(digits: "str") -> "int":
    """A whole number of JSON. Its first 21 digits say enough: Python before 3.11 takes minutes for a million."""
    return bounded(int(digits[:21]), MAX_WHOLE)


def real(text: "str") -> "float":
    """Another number of JSON, `NaN` and `Infinity` included."""
    return bounded(float(text), float("inf"))


def loads(text: "str") -> "shapes.Unchecked":
    """The value in a JSON text from elsewhere: its numbers are finite, whole ones below `MAX_WHOLE`.

    Raises:
        ValueError, RecursionError: it is not JSON, too deep, or holds a number out of range.
    """
    return json.loads(text, parse_int=whole, parse_float=real, parse_constant=real)


def decode(line: "bytes") -> "shapes.Unchecked":
    """The JSON object in a line of bytes.

    Raises:
        AgentError: `protocol`, when the line is not one JSON object, or a number in it is out of range.
    """
    try:
        message = loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise AgentError(
            Code.PROTOCOL, "a line is not JSON, or a number in it is out of range: %r" % line[:80]
        )
    if not isinstance(message, dict):
        raise AgentError(Code.PROTOCOL, "a line is not a JSON object: %r" % line[:80])
    return message


def runtime_id(wheel_sha256s: "shapes.Iterable[str]") -> "str":
    """The id of a provisioned runtime: sha256 of its wheels' sha256s, sorted, one a line."""
    return hashlib.sha256("".join(one + "\n" for one in sorted(wheel_sha256s)).encode("ascii")).hexdigest()
