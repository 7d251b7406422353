"""The agent with a separate view of the file system: real mounts, without privileges."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote
from typing import Any

import pytest

from edgewright.connect.agent import package as agent_package
from edgewright.connect.agent import runner_package
from edgewright_agent import protocol

SPACE = ("unshare", "--user", "--map-root-user", "--mount", "--")


class Agent:
    """An agent over pipes: `greeting` is its first answer, `call` runs one command.

    Args:
        before: shell commands run first, in the same view of the file system.
        command: what starts Python; by default this test's own, in that view.
    """

    def __init__(self, root: str, before: str = "", command: tuple[str, ...] = (), **hello: Any) -> None:
        package, self.last, nonce = agent_package.package(), 0, uuid.uuid4().hex
        start = command or (*SPACE, "sh", "-ec", f'{before}\nexec {quote(sys.executable)} "$@"', "sh")
        self.process = subprocess.Popen(
            [*start, "-I", "-S", "-B", "-c", protocol.BOOT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        assert self.process.stdin and self.process.stdout
        about = {"sha256": package.sha256, "size": len(package.data)}
        self.send(
            {
                "edgewright": 1,
                "nonce": nonce,
                "root": root,
                "host": "test",
                "loader": package.loader,
                "agent": about,
                **hello,
            }
        )
        self.greeting = self.line()
        if self.greeting.get("need") == "agent":
            self.process.stdin.write(package.data)
            self.greeting = self.line()
        assert self.greeting["nonce"] == nonce

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        data = memoryview(protocol.encode(message))
        while data:
            data = data[self.process.stdin.write(data) :]

    def line(self) -> dict[str, Any]:
        assert self.process.stdout and self.process.stderr
        assert select.select([self.process.stdout], [], [], 30)[0], "the agent says nothing"
        text = self.process.stdout.readline()
        assert text, self.process.stderr.read().decode()
        return dict(json.loads(text))

    def call(self, do: str, **args: Any) -> dict[str, Any]:
        """Runs a command; returns its last answer, `{"ok": ...}` or `{"error": ...}`."""
        self.last += 1
        self.send({"id": self.last, "do": do, "args": args})
        while True:
            answer = self.line()
            if "event" not in answer:
                return answer

    def put(self, data: bytes, sha256: str) -> dict[str, Any]:
        """Uploads bytes."""
        assert self.process.stdin
        self.last += 1
        args = {"sha256": sha256, "size": len(data), "offset": 0}
        self.send({"id": self.last, "do": "put", "args": args})
        self.process.stdin.write(data)
        return self.line()

    def give_runner(self, target: str = "tflite") -> str:
        """Stores this installation's runner of a target on the board; returns its sha256."""
        runner = runner_package.package(target)
        assert "ok" in self.put(runner.data, runner.sha256)
        assert "ok" in self.call("runner", target=target, sha256=runner.sha256)
        return runner.sha256

    def close(self) -> int:
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream
            stream.close()
        return self.process.wait(timeout=30)


@pytest.fixture
def start() -> Iterator[Callable[..., Agent]]:
    """`start(root, before=..., command=...)`: an Agent, ended after the test."""
    started: list[Agent] = []

    def begin(root: Path | str, **options: Any) -> Agent:
        started.append(Agent(str(root), **options))
        return started[-1]

    yield begin
    for one in started:
        one.close()


@pytest.fixture
def tree() -> Callable[[Path], dict[str, bytes]]:
    """Everything below a folder: path -> a file's bytes, a link's target, nothing for a folder."""

    def read(folder: Path) -> dict[str, bytes]:
        found = {}
        for path in sorted(folder.rglob("*")):
            text = (
                bytes(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
            )
            found[str(path.relative_to(folder))] = text
        return found

    return read
