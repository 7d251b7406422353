"""The commands and their arguments: what is not listed here is refused."""

import re

from edgewright_agent import shapes
from edgewright_agent.hooks import KINDS
from edgewright_agent.manifest import is_count
from edgewright_agent.protocol import MAX_FILE, NAME, SHA256, AgentError
from edgewright_agent.runtimes import VERSION

RELEASE = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}-[0-9a-f]{8}\Z")
TXN = re.compile(r"[0-9a-f]{32}\Z")
SYSTEM = re.compile(r"system:[a-z0-9][a-z0-9._-]{0,63}\Z")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}\Z")
REQUIRED = object()


def text(pattern: "re.Pattern[str]") -> "shapes.Check":
    """A check for text that fits a pattern."""
    return lambda value: isinstance(value, str) and pattern.match(value) is not None


def printable(limit: "int") -> "shapes.Check":
    """A check for text of at most so many characters."""
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


def optional(check: "shapes.Check") -> "shapes.Check":
    """A check that takes null too."""
    return lambda value: value is None or check(value)


def rows(check: "shapes.Check", limit: "int") -> "shapes.Check":
    """A check for a list of 1 to `limit` of something."""
    return lambda value: (
        isinstance(value, list) and 0 < len(value) <= limit and all(check(one) for one in value)
    )


def record(fields: "dict[str, shapes.Check]") -> "shapes.Check":
    """A check for an object with exactly these keys."""
    return lambda value: (
        isinstance(value, dict)
        and set(value) == set(fields)
        and all(fields[key](value[key]) for key in fields)
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


SHA, MODEL, REL, TRANSACTION = text(SHA256), text(NAME), text(RELEASE), text(TXN)
SIZE, SECONDS = whole(MAX_FILE), number(86400)
PROTOCOL = {
    "rounds": whole(100),
    "warmup_s": SECONDS,
    "steady_s": SECONDS,
    "min_samples": whole(10**6),
    "limit_s": SECONDS,
}
WHEEL = {"file": printable(300), "sha256": SHA, "size": SIZE}
WORK: "dict[str, shapes.Rule]" = {
    "threads": (optional(whole(1024)), None),
    "accelerator": (optional(text(WORD)), None),
}
TRIAL: "dict[str, shapes.Rule]" = {"txn": TRANSACTION, "deadline_s": SECONDS, "unguarded": (flag, False)}

COMMANDS: "dict[str, dict[str, shapes.Rule]]" = {  # name: {argument: check, or (check, default)}
    "ping": {},
    "facts": {},
    "part": {"sha256": SHA, "size": SIZE},
    "put": {"sha256": SHA, "size": SIZE, "offset": SIZE},
    "get": {"result": printable(100)},
    "begin": {"model": MODEL, "txn": TRANSACTION, "host": printable(100), "ttl_s": SECONDS},
    "end": {"txn": TRANSACTION},
    "runner": {"target": MODEL, "sha256": SHA},
    "provision": {
        "name": MODEL,
        "target": MODEL,
        "version": text(VERSION),
        "wheels": rows(record(WHEEL), 100),
        "runner": (optional(SHA), None),
    },
    "install": {
        "model": MODEL,
        "version": MODEL,
        "manifest": SHA,
        "runtime": reference,
        "hooks": (hooks, {}),
        "hook_s": (number(3600), 0),
        "runner": (optional(SHA), None),
        "txn": TRANSACTION,
    },
    "verify": dict(WORK, model=MODEL, release=REL, txn=TRANSACTION, lenient=(flag, False)),
    "evaluate": dict(WORK, model=MODEL, release=REL, evaluation=SHA, keep=text(WORD)),
    "bench": dict(WORK, model=MODEL, releases=rows(REL, 10), protocol=record(PROTOCOL)),
    "infer": dict(WORK, model=MODEL, release=(optional(REL), None), inputs=optional(SHA)),
    "activate": dict(TRIAL, model=MODEL, release=REL, expected_current=optional(REL)),
    "commit": {"txn": TRANSACTION},
    "revert": {"txn": TRANSACTION, "reason": (printable(1000), "")},
    "outcome": {"txn": TRANSACTION},
    "rollback": dict(
        dict(WORK, **TRIAL), model=MODEL, to=(optional(release_or_version), None), dry_run=(flag, False)
    ),
    "discard": {"model": MODEL, "release": REL, "txn": TRANSACTION},
    "status": {},
    "prune": {"keep": whole(1000), "dry_run": (flag, False)},
    "logs": {"lines": whole(100000)},
    "guard": {"install": flag},
    "purge": {},
    "reset": {},
}


def check(do: "object", given: "shapes.Unchecked") -> "shapes.Arguments":
    """The arguments of a command, checked, defaults filled in.

    Raises:
        AgentError: `unknown-command`, `bad-argument`.
    """
    if not isinstance(do, str) or do not in COMMANDS:
        raise AgentError(
            "unknown-command", "unknown command: %.80r" % (do,), "host and agent are of different versions"
        )
    if not isinstance(given, dict):
        raise AgentError("bad-argument", "the arguments of %s are not an object" % do)
    expected = COMMANDS[do]
    found: "shapes.Arguments" = {}
    for key in sorted(set(given) - set(expected)):
        raise AgentError("bad-argument", "%s does not take this argument: %.80r" % (do, key))
    for key, rule in expected.items():
        test, default = rule if isinstance(rule, tuple) else (rule, REQUIRED)
        if key not in given and default is REQUIRED:
            raise AgentError("bad-argument", "%s needs an argument: %s" % (do, key))
        found[key] = given.get(key, default)
        if key in given and not test(given[key]):
            raise AgentError("bad-argument", "%s of %s is not valid: %.200r" % (key, do, given[key]))
    return found
