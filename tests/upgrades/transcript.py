"""Records what an old host sends to a board, and what it is answered, in one session: for `old_code.py`.

One JSON line a step: `line` (what the host sent), `raw` (base64 of the bytes that followed it), `answers` (what came back,
events but heartbeats included).
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np


class Recorder:
    """Stands between a session and its channel."""

    def __init__(self) -> None:
        self.sent, self.received = bytearray(), bytearray()

    def attach(self) -> None:
        """Keeps the bytes of every SSH channel from now on."""
        from edgewright.connect.ssh_channel import SshChannel

        send, receive, recorder = SshChannel.send, SshChannel.receive, self

        def kept_send(channel: Any, data: Any, *more: Any) -> None:
            recorder.sent += bytes(data)
            send(channel, data, *more)

        def kept_receive(channel: Any, *more: Any) -> bytes:
            piece = receive(channel, *more)
            recorder.received += piece
            return piece

        SshChannel.send, SshChannel.receive = kept_send, kept_receive  # type: ignore[method-assign]
        self.detach = lambda: (setattr(SshChannel, "send", send), setattr(SshChannel, "receive", receive))

    def answers(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """(those before the first request, the others)."""
        stream, start, rest = io.BytesIO(bytes(self.received)), [], []
        while line := stream.readline():
            message = json.loads(line)
            if message.get("event") == "bytes":
                stream.read(message["size"])
            if "nonce" in message:
                start.append(message)
            elif message.get("event") != "heartbeat":
                rest.append(message)
        return start, rest

    def steps(self) -> list[dict[str, Any]]:
        """The hello without the agent's own bytes, which nobody asks for behind a forced command; then each request."""
        stream = io.BytesIO(bytes(self.sent))
        start, rest = self.answers()
        hello = json.loads(stream.readline())
        if any("need" in answer for answer in start):
            stream.read(hello["agent"]["size"])
        line = json.dumps({**hello, "host": "host"}, sort_keys=True, separators=(",", ":")) + "\n"
        steps = [{"line": line, "raw": "", "answers": start[-1:]}]
        while line := stream.readline().decode():
            if not line.strip():
                continue  # a word that the host says while a command works
            request = json.loads(line)
            if request["do"] == "ping":
                continue
            args = request["args"]
            raw = stream.read(args["size"] - args["offset"]) if request["do"] == "put" else b""
            mine = [answer for answer in rest if answer.get("id") == request["id"]]
            steps.append({"line": line, "raw": base64.b64encode(raw).decode(), "answers": mine})
        return steps


def converse(faults: ModuleType, board: Any) -> None:
    """Every command that a host of that time has, but `reset`, `guard` and `purge`."""
    with board.open() as session:
        model = faults.MODEL
        session.facts()
        first = faults.Deployment(session, faults.artifact("one"), "1").whole()
        second = faults.Deployment(
            session, faults.artifact("two"), "2", hooks={"health": "#!/bin/sh\n"}, hook_s=5
        )
        second.whole()
        data = io.BytesIO()
        np.savez(data, input_0=np.ones((3, 4), np.float32))
        given = session.put(data.getvalue())
        answer = session.call("infer", model=model, release=None, inputs=given, threads=1, accelerator=None)
        session.get(answer["outputs"])
        session.call(
            "evaluate",
            model=model,
            release=second.release,
            evaluation=given,
            keep="all",
            threads=1,
            accelerator=None,
        )
        second.bench()
        back = faults.Deployment(session, faults.artifact("one"), "1")
        back.begin()
        session.call(
            "rollback",
            model=model,
            to=None,
            txn=back.txn,
            deadline_s=30,
            unguarded=False,
            threads=1,
            accelerator=None,
        )
        assert back.commit() == "committed"
        assert session.call("outcome", txn=back.txn)["outcome"] == "committed"
        back.end()
        third = faults.Deployment(session, faults.artifact("three"), "3").ready()
        third.activate()
        session.call("revert", txn=third.txn, reason="as a test")
        session.call("discard", model=model, release=third.release, txn=third.txn)
        third.end()
        assert session.call("status")["models"][model]["current"] == first
        session.call("prune", keep=3, dry_run=True)
        session.get(session.call("logs", lines=10)["log"])


def write(faults: ModuleType, board: Any, path: Path) -> None:
    """The transcript of one conversation."""
    recorder = Recorder()
    recorder.attach()
    try:
        converse(faults, board)
    finally:
        recorder.detach()
    path.write_text("".join(json.dumps(step, sort_keys=True) + "\n" for step in recorder.steps()))
