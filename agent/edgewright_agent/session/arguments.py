"""The commands and their arguments: everything not listed here is refused."""

import re

from edgewright_agent import shapes
from edgewright_agent.installed.manifest import is_count
from edgewright_agent.installed.runtimes import VERSION
from edgewright_agent.processes.hooks import KINDS
from edgewright_agent.protocol import MAX_FILE, NAME, SHA256, AgentError, Code

RELEASE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}-[0-9a-f]{8}\Z")
TXN = re.compile(r"[0-9a-f]{32}\Z")
SYSTEM = re.compile(r"system:[a-z0-9][a-z0-9._-]{0,63}\Z")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z")
REQUIRED = object()


def text(pattern: "re.Pattern[str]") -> "shapes.Check":
    """A check for text that matches a pattern."""
    return lambda value: isinstance(value, str) and pattern.match(value) is not None


def printable(limit: "int") -> "shapes.Check":
    """A check for text of at most `limit` characters."""
    return lambda value: isinstance(value, str) and len(value) <= limit and value.isprintable()


def whole(limit: "int") -> "shapes.Check":
    """A check for a whole number from 0 to a limit."""
    return lambda value: is_count(value, limit)


def number(limit: "float") -> "shapes.Check":
    """A check for a number from 0 to a limit."""
    return lambda value: is_count(value, limit) or (isinstance(value, float) and 0 <= value <= limit)


def flag(value: "object") -> "bool":
    """A check for true or false."""
    return isinstance(value, bool)


def rows(check: "shapes.Check", limit: "int") -> "shapes.Check":
    """A check for a list of 1 to `limit` of something."""
    return lambda value: (
        isinstance(value, list) and 0 < len(value) <= limit and all(check(one) for one in value)
    )


def record(fields: "dict[str, str]") -> "shapes.Check":
    """A check for an object with exactly these keys."""
    return lambda value: (
        isinstance(value, dict)
        and set(value) == set(fields)
        and all(fits(value[key], fields[key]) for key in fields)
    )


def hooks(value: "object") -> "bool":
    """A check for `{kind: sha256}`."""
    return isinstance(value, dict) and all(kind in KINDS and text(SHA256)(value[kind]) for kind in value)


def reference(value: "object") -> "bool":
    """A check for the name of a runtime."""
    return text(SHA256)(value) or text(SYSTEM)(value)


def release_or_version(value: "object") -> "bool":
    """A check for a release or a version."""
    return text(RELEASE)(value) or text(NAME)(value)


WHEEL = {"file": "file", "sha256": "sha256", "size": "size"}
PROTOCOL = {
    "rounds": "rounds",
    "warmup_s": "seconds",
    "steady_s": "seconds",
    "min_samples": "samples",
    "limit_s": "seconds",
}
TYPES = {  # name of a type: check. `edgewright.wire.types` has the same names for the host
    "sha256": text(SHA256),
    "name": text(NAME),
    "release": text(RELEASE),
    "version": text(VERSION),
    "txn": text(TXN),
    "runtime": reference,
    "word": text(WORD),
    "wanted": release_or_version,
    "line": printable(100),
    "file": printable(300),
    "reason": printable(1000),
    "size": whole(MAX_FILE),
    "count": whole(1000),
    "threads": whole(1024),
    "lines": whole(100000),
    "rounds": whole(100),
    "samples": whole(10**6),
    "seconds": number(86400),
    "hook seconds": number(3600),
    "flag": flag,
    "hooks": hooks,
    "releases": rows(text(RELEASE), 10),
}
TYPES.update(wheels=rows(record(WHEEL), 100), protocol=record(PROTOCOL))
WORK: "dict[str, shapes.Rule]" = {
    "threads": ("threads?", None),
    "accelerator": ("word?", None),
}
TRIAL: "dict[str, shapes.Rule]" = {"txn": "txn", "deadline_s": "seconds", "unguarded": ("flag", False)}

COMMANDS: "dict[str, dict[str, shapes.Rule]]" = {  # command: {argument: type, or (type, default)}; a `?` allows null
    "ping": {},
    "facts": {},
    "part": {"sha256": "sha256", "size": "size"},
    "put": {"sha256": "sha256", "size": "size", "offset": "size"},
    "get": {"result": "line"},
    "begin": {"model": "name", "txn": "txn", "host": "line", "ttl_s": "seconds"},
    "end": {"txn": "txn"},
    "runner": {"target": "name", "sha256": "sha256"},
    "provision": {
        "name": "name",
        "target": "name",
        "version": "version",
        "wheels": "wheels",
        "runner": ("sha256?", None),
    },
    "install": {
        "model": "name",
        "version": "name",
        "manifest": "sha256",
        "runtime": "runtime",
        "hooks": ("hooks", {}),
        "hook_s": ("hook seconds", 0),
        "runner": ("sha256?", None),
        "txn": "txn",
    },
    "verify": dict(WORK, model="name", release="release", txn="txn", lenient=("flag", False)),
    "evaluate": dict(WORK, model="name", release="release", evaluation="sha256", keep="word"),
    "bench": dict(WORK, model="name", releases="releases", protocol="protocol"),
    "infer": dict(WORK, model="name", release=("release?", None), inputs="sha256?"),
    "activate": dict(TRIAL, model="name", release="release", expected_current="release?"),
    "commit": {"txn": "txn"},
    "revert": {"txn": "txn", "reason": ("reason", "")},
    "outcome": {"txn": "txn"},
    "rollback": dict(dict(WORK, **TRIAL), model="name", to=("wanted?", None), dry_run=("flag", False)),
    "discard": {"model": "name", "release": "release", "txn": "txn"},
    "status": {"verify": ("flag", False), "files": ("flag", False)},
    "prune": {"keep": "count", "dry_run": ("flag", False)},
    "logs": {"lines": "lines"},
    "guard": {"install": "flag"},
    "purge": {},
    "reset": {},
    "repair": {"dry_run": ("flag", False)},
}


def fits(value: "shapes.Unchecked", word: "str") -> "bool":
    """Whether a value is of a type."""
    return (value is None and word.endswith("?")) or TYPES[word.rstrip("?")](value)


def check(do: "object", given: "shapes.Unchecked") -> "shapes.Arguments":
    """The arguments of a command, checked, defaults filled in.

    Raises:
        AgentError: `unknown-command`, `bad-argument`.
    """
    if not isinstance(do, str) or do not in COMMANDS:
        raise AgentError(Code.UNKNOWN_COMMAND, "unknown command: %.80r" % (do,))
    if not isinstance(given, dict):
        raise AgentError(Code.BAD_ARGUMENT, "the arguments of %s are not an object" % do)
    expected = COMMANDS[do]
    found: "shapes.Arguments" = {}
    for key in sorted(set(given) - set(expected)):
        raise AgentError(Code.BAD_ARGUMENT, "%s does not take this argument: %.80r" % (do, key))
    for key, rule in expected.items():
        word, default = rule if isinstance(rule, tuple) else (rule, REQUIRED)
        if key not in given and default is REQUIRED:
            raise AgentError(Code.BAD_ARGUMENT, "%s needs an argument: %s" % (do, key))
        found[key] = given.get(key, default)
        if key in given and not fits(given[key], word):
            raise AgentError(Code.BAD_ARGUMENT, "%s of %s is not valid: %.200r" % (key, do, given[key]))
    return found
