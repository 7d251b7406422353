"""The first code on the board: finds or requests the agent's bytes, checks their hash and runs them
from memory.

`protocol.BOOT` executes this file's text with the host's hello as `hello`. Nothing is imported
from the agent before its bytes are verified, and no file is read twice: the hashed bytes are the ones that run.
"""

import hashlib
import importlib
import importlib.util
import io
import json
import os
import sys
import types
import zipfile

ENTRIES = {"server": "session.server", "child": "child.main", "guard": "lifecycle.guard"}  # entry: module
MAX_AGENT = 4 * 1024 * 1024  # bytes of the .pyz


class Refused(Exception):
    """The agent cannot start: (code, message)."""


class MemoryImporter(object):
    """Imports the modules of a package from their sources.

    Args:
        sources: {name, such as `edgewright_agent/loader.py`: text}.
    """

    def __init__(self, sources: "dict[str, str]", package: "str") -> "None":
        self.sources, self.package = sources, package

    def member(self, fullname: "str") -> "tuple[str, bool]":
        """(name of the source, is a package) of a module; the name is empty if there is no such module."""
        base = fullname.replace(".", "/")
        for name, package in ((base + "/__init__.py", True), (base + ".py", False)):
            if name in self.sources:
                return name, package
        return "", False

    def find_spec(
        self,
        fullname: "str",
        path: "object" = None,  # noqa: ARG002 - the import system's signature
        target: "object" = None,  # noqa: ARG002
    ) -> "importlib.machinery.ModuleSpec | None":
        """The spec of one of the package's modules, else None."""
        found = self.member(fullname) if fullname.split(".")[0] == self.package else ("", False)
        if not found[0]:
            return None
        # typeshed requires `load_module`, which Python 3.4 made obsolete
        return importlib.util.spec_from_loader(fullname, self, origin=found[0], is_package=found[1])  # type: ignore[arg-type]

    def create_module(self, spec: "importlib.machinery.ModuleSpec") -> "None":  # noqa: ARG002 - the import system's signature
        """Return None, for a default module object."""
        return None

    def exec_module(self, module: "types.ModuleType") -> "None":
        """Run the module's source."""
        name = module.__name__
        exec(compile(self.get_source(name), self.member(name)[0], "exec"), module.__dict__)  # noqa: S102 - the hash was checked

    def get_source(self, fullname: "str") -> "str":
        """The text of a module; tracebacks and child processes use it."""
        return self.sources[self.member(fullname)[0]]


def install(data: "bytes") -> "None":
    """Make the modules of a .pyz importable from memory, before any other place.

    All sources are one member, names and texts in turn: compressed together they take two thirds of the space that
    separate members take.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = archive.read("sources").decode("ascii").split("\0")
    sys.meta_path.insert(0, MemoryImporter(dict(zip(parts[::2], parts[1::2])), "edgewright_agent"))


def kept(root: "str", sha256: "str") -> "bytes | None":
    """The bytes of `<root>/agent/<sha256>.pyz`, or None if the file is absent or its hash does not match its name."""
    path = os.path.join(root, "agent", sha256 + ".pyz")
    if not os.path.isfile(path):
        return None
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_AGENT + 1)
    except OSError:
        return None
    return data if hashlib.sha256(data).hexdigest() == sha256 else None


def receive(size: "int") -> "bytes":
    """Read exactly `size` bytes from descriptor 0."""
    pieces = bytearray()
    while len(pieces) < size:
        piece = os.read(0, min(65536, size - len(pieces)))
        if not piece:
            raise Refused(
                "protocol", "the stream ended inside the agent's bytes: %d of %d" % (len(pieces), size)
            )
        pieces += piece
    return bytes(pieces)


def say(hello: "dict[str, object]", message: "dict[str, object]") -> "None":
    """Write one line to the host, with its nonce."""
    line = dict(message, edgewright=1, nonce=hello.get("nonce"))
    os.write(1, json.dumps(line, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n")


def fetch(hello: "dict[str, object]", entry: "str") -> "bytes":
    """Get the agent's verified bytes: from the board, else from the host."""
    root = os.path.expanduser(str(hello["root"]))
    named = hello["agent"]
    if not isinstance(named, dict):
        raise Refused("protocol", "the hello names no agent: %.80r" % (named,))
    sha256, size = str(named["sha256"]), int(named["size"])
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef") or not 0 <= size <= MAX_AGENT:
        raise Refused("protocol", "the hello names no agent: %r, %r bytes" % (sha256[:80], size))
    data = kept(root, sha256)
    if data is None and entry != "server":
        raise Refused("not-found", "the agent's own file is gone: %s.pyz" % sha256)
    if data is None:
        say(hello, {"need": "agent"})
        data = receive(size)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Refused("hash-mismatch", "the agent's bytes do not have the hash of the hello")
    return data


def run(hello: "dict[str, object]") -> "None":
    """Fetch the agent and run the module that the hello's `entry` names."""
    try:
        entry = hello.get("entry", "server")
        if entry not in ENTRIES:
            raise Refused("protocol", "unknown entry: %r" % (entry,))
        data = fetch(hello, entry)
        install(data)
        module = importlib.import_module("edgewright_agent." + ENTRIES[entry])
    except Exception as error:
        detail = (
            error.args if isinstance(error, Refused) else ("protocol", "the agent did not start: %r" % error)
        )
        say(hello, {"error": {"code": detail[0], "message": detail[1]}})
        sys.exit(1)
    module.main(hello, data)


if "hello" in globals():
    run(globals()["hello"])
