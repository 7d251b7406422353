"""Stands between a real agent and the host, and changes the agent's output. Runs on the board as a forced command.

`liar.json` beside it says how: `suffix` is put behind every text but those of the keys in `keep`; `replace` is
`[seed, rate]`: values are replaced by others of any type. `number`, where there is one, is the JSON text of every number
in the answers. `more` is a lie of `lies.py`: what stands for a result's bytes, or comes in place of an answer.
"""

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import lies

PLAN = json.loads(Path(__file__).with_name("liar.json").read_text())
OTHERS = [
    None,
    True,
    -1,
    0,
    2**63 - 1,
    1e308,
    "",
    "x",
    [],
    {},
    [None],
    {"x": None},
    [[1]],
    "/etc/passwd",
    "../..",
    "\ud800",
]
RANDOM = random.Random(PLAN["replace"][0])
RATE = PLAN["replace"][1]
WIRE = ("edgewright", "nonce", "id", "event", "need", "board_id", "serial")


def changed(value, key=""):
    """A value as it is sent to the host."""
    if key in WIRE:
        return value
    if RATE and key and RANDOM.random() < RATE:
        return RANDOM.choice(OTHERS)
    if isinstance(value, dict):
        return {name: changed(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [changed(inner, key) for inner in value]
    if isinstance(value, str) and key not in PLAN["keep"]:
        return value + PLAN["suffix"]
    if PLAN["number"] and key and isinstance(value, (int, float)) and not isinstance(value, bool):
        return json.loads(PLAN["number"])
    return value


def pump(source, sink):
    """Passes the host's bytes through unchanged."""
    while True:
        data = os.read(source, 65536)
        if not data:
            sink.close()
            return
        sink.write(data)


def main():
    agent = subprocess.Popen(
        ["/bin/sh", "-c", os.environ["SSH_ORIGINAL_COMMAND"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    thread = threading.Thread(target=pump, args=(0, agent.stdin))
    thread.daemon = True
    thread.start()
    out = sys.stdout.buffer
    stream = os.fdopen(os.dup(agent.stdout.fileno()), "rb")
    sys.stderr.write(PLAN["suffix"] + "\n")
    more = lies.Lie(PLAN.get("more"), out)
    for line in iter(stream.readline, b""):
        if not line.startswith(b"{"):  # of the start command
            out.write(line)
            continue
        message = json.loads(line.decode())
        if more.replaces(message):
            continue
        out.write(json.dumps(changed(message)).encode() + b"\n")
        if message.get("event") == "bytes":
            left = message["size"]
            while left:
                piece = stream.read(min(65536, left))
                left -= len(piece)
                out.write(piece)
        out.flush()


main()
