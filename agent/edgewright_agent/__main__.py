"""The .pyz as a program: `python3 agent.pyz serve|guard|status --root R`.

`serve` is for boards with a forced command: the installed agent answers, whichever loader or agent the
hello names, and runs models only with the runners in its own .pyz.
"""

import hashlib
import os
import sys

from edgewright_agent import protocol, shapes

USAGE = "usage: python3 agent.pyz serve|guard|status --root FOLDER"


def read_hello() -> "shapes.Hello":
    """Read the hello line from descriptor 0, byte by byte: the bytes after it belong to the session."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte or len(line) > protocol.MAX_LINE:
            sys.exit(protocol.NO_HELLO_EXIT)
        line += byte
    hello: "shapes.Hello" = protocol.decode(bytes(line))
    return hello


def main(data: "bytes") -> "None":
    """Run the command line of the .pyz with these bytes; exits 64 on wrong usage."""
    arguments = sys.argv[1:]
    if len(arguments) != 3 or arguments[0] not in ("serve", "guard", "status") or arguments[1] != "--root":
        sys.stderr.write(USAGE + "\n")
        sys.exit(64)
    verb, root = arguments[0], arguments[2]
    if verb == "serve":
        from edgewright_agent.installed import runners  # import only what the verb needs: a board is slow
        from edgewright_agent.session import server  # as above

        hello = read_hello()
        hello["root"], hello["group"] = root, None  # the administrator decides these, not the host
        hello["agent"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        server.main(hello, data, runners.inside(data))
    else:
        from edgewright_agent.lifecycle import standalone  # as above

        sys.exit(standalone.recover_now(root) if verb == "guard" else standalone.show_status(root))
