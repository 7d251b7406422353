"""Wire, version 1: names and limits that host and agent share. See docs/wire.md.

JSON, one object per line, over stdin and stdout of the SSH exec channel; stderr is the log. File bytes
follow raw on the same stream, after the line that announces them.
"""

import hashlib
import json
import re

from edgewright_agent import shapes

VERSION = 1
MANIFEST_SCHEMA = 2

MAX_LINE = 1024 * 1024  # bytes of one JSON line
# The magnitude of whole numbers in a line or a manifest is below it: both SQL and a float can hold them.
MAX_WHOLE = 2**63
MAX_NOISE = 64 * 1024  # bytes before the greeting that the host skips
GREETING_SECONDS = 30
HEARTBEAT_SECONDS = 5  # a working agent writes a line at least this often
SILENCE_SECONDS = 30  # longer silence means a dead link, on both sides
PIECE = 256 * 1024  # bytes read or written at once
MAX_MANIFEST = 4 * 1024 * 1024  # bytes of a manifest.json
MAX_FILE = 16 * 1024**3  # bytes of one file
MAX_FILES = 20000  # files in one artifact or runtime
SPARE_BYTES = 8 * 1024 * 1024  # uploads and runtimes leave this free for the state, the log and a revert
SPARE_INODES = 64
MAX_SLICES = 4096  # with separate limits, in all outputs of a manifest together
MAX_LOST = 16  # slices listed in an answer
WORST_DB = -200.0  # means: not a number, or signal where the reference has none
MAX_RUNNER = 256 * 1024  # bytes of one runner
RUNNERS = "runners.json"  # member of an administrator's .pyz: {target: the runner's text}
HOOK_SECONDS = 60.0  # the default time limit of one hook

NO_PYTHON_EXIT = 93  # exit code of the start command if there is no python3
NO_HELLO_EXIT = 92  # exit code of BOOT if descriptor 0 ends before the hello line does

# The program after `python3 -I -S -B -c`: one line without quotes, dollars, backslashes or exclamation
# marks, so that it can stand in double quotes inside single quotes. It reads byte by byte, since the
# bytes after the hello belong to the session.
BOOT = (
    "import os,json;"
    "h=json.loads(bytes().join(iter(lambda:os.read(0,1)or os._exit(92),bytes([10]))).decode());"
    "exec(h[min(dict(loader=0))],dict(hello=h,__name__=min(dict(edgewright_loader=0))))"
)
# The `__main__.py` of the .pyz: it reads the file once and runs those bytes, as the loader does.
PYZ_MAIN = """import io, sys, zipfile

with open(sys.argv[0], "rb") as file:
    data = file.read()
loader = {"__name__": "edgewright_loader"}
with zipfile.ZipFile(io.BytesIO(data)) as archive:
    sources = archive.read("sources").decode("ascii").split(chr(0))
exec(sources[sources.index("edgewright_agent/loader.py") + 1], loader)
loader["install"](data)
from edgewright_agent.__main__ import main

main(data)
"""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")  # models and versions
SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class Code(object):
    """The codes of the errors that an agent reports. docs/errors.md explains them and what to do."""

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
    """An error that the agent reports to the host; the host adds the hint.

    Args:
        code: one of Code.
        message: what is wrong with which input, one lower-case line.
        about: further details for the host: `cause` (a word that distinguishes errors with the same code), `group`,
            `usable` (accelerators), `left_s` (of a lease), `advice` (of a runner), `log` (the last output of a runtime).
    """

    def __init__(self, code: "str", message: "str", **about: "object") -> "None":
        Exception.__init__(self, message)
        self.code = code
        self.message = message
        self.about = about

    def wire(self) -> "shapes.Result":
        """The error as the wire carries it."""
        found: "shapes.Result" = {"code": self.code, "message": self.message}
        return {**found, "about": self.about} if self.about else found


def encode(message: "shapes.Record") -> "bytes":
    """Encode one JSON object as a line of ASCII bytes, including the newline."""
    return json.dumps(message, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def bounded(value: "shapes.Number", limit: "float") -> "shapes.Number":
    """Return a number of JSON whose magnitude is below a limit; NaN is refused."""
    if not abs(value) < limit:
        raise ValueError("a number is out of range")
    return value


def whole(digits: "str") -> "int":
    """Parse a whole number of JSON. Its first 21 digits are enough: Python before 3.11 takes minutes for a million."""
    return bounded(int(digits[:21]), MAX_WHOLE)


def real(text: "str") -> "float":
    """Parse any other number of JSON, including `NaN` and `Infinity`."""
    return bounded(float(text), float("inf"))


def loads(text: "str") -> "shapes.Unchecked":
    """Parse JSON from an untrusted source. Numbers must be finite, and whole numbers below `MAX_WHOLE`.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or has a number out of range.
    """
    try:
        return json.loads(text, parse_int=whole, parse_float=real, parse_constant=real)
    except RecursionError:
        raise ValueError("too deep")


def decode(line: "bytes") -> "shapes.Unchecked":
    """Parse the JSON object in a line of bytes.

    Raises:
        AgentError: `protocol`, if the line is not one JSON object, or a number in it is out of range.
    """
    try:
        message = loads(line.decode("utf-8"))
    except ValueError:
        raise AgentError(
            Code.PROTOCOL, "a line is not JSON, or a number in it is out of range: %r" % line[:80]
        )
    if not isinstance(message, dict):
        raise AgentError(Code.PROTOCOL, "a line is not a JSON object: %r" % line[:80])
    return message


def runtime_id(wheel_sha256s: "shapes.Iterable[str]") -> "str":
    """The id of a provisioned runtime: sha256 of its wheels' sha256s, sorted, one per line."""
    return hashlib.sha256("".join(one + "\n" for one in sorted(wheel_sha256s)).encode("ascii")).hexdigest()
