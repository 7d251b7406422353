"""One target of atheris: `python fuzz_target.py TARGET [libFuzzer's options]`. Any exception that is not edgewright's own is a finding."""

import contextlib
import hashlib
import importlib.util
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["edgewright", "edgewright_agent"]):
    from edgewright.wire import stream  # noqa: F401
    from edgewright_agent import protocol
    from edgewright_agent.child import tensors
    from edgewright_agent.installed import manifest, runtimes
    from edgewright_agent.session import arguments
    from edgewright_agent.storage import state

SPEC = importlib.util.spec_from_file_location("talk", Path(__file__).with_name("conftest.py"))
TALK = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(TALK)
FILE = Path(tempfile.mkdtemp()) / "file"


def host(data):
    """A board's output after a good greeting, and before."""
    TALK.converse((TALK.GREETING if data[:1] > b"\x40" else b"") + data[1:])


def request(data):
    """A host's line to the agent."""
    with contextlib.suppress(protocol.AgentError):
        message = protocol.decode(data)
        arguments.check(message.get("do"), message.get("args", {}))


def manifests(data):
    """An uploaded manifest."""
    with contextlib.suppress(protocol.AgentError):
        parsed = manifest.parse(data, hashlib.sha256(data).hexdigest())
        assert all(manifest.safe_path(entry["path"]) for entry in parsed["files"])


def slot(data):
    """A slot of the state."""
    body = data.partition(b"\n")[2]
    assert state.decode(data) is None or hashlib.sha256(body).hexdigest().encode() == data.partition(b"\n")[0]


def npz(data):
    """A file of tensors."""
    FILE.write_bytes(data)
    with contextlib.suppress(protocol.AgentError), tensors.Tensors(str(FILE)) as source:
        for _ in source.member("input_0").samples():
            pass


def wheel(data):
    """The name of a wheel's member."""
    with contextlib.suppress(protocol.AgentError, UnicodeDecodeError):
        to = runtimes.destination(data.decode("utf-8"))
        assert to is None or (not to.startswith("/") and ".." not in to.split("/"))


TARGETS = {"host": host, "request": request, "manifest": manifests, "slot": slot, "npz": npz, "wheel": wheel}

if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
    atheris.Fuzz()
