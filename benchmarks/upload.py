"""Edgewright's upload, to be measured in a separate process: `python upload.py FLEET FILE`.

Sends one file to every board of a fleet, and prints the seconds of each board's session and of its `put` as JSON. Ends as the program does.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from pathlib import Path

from msgspec.structs import replace

from edgewright.config import fleet as fleets
from edgewright.connect.session import open_session
from edgewright.deployments.executor import PARALLEL, FanOut
from edgewright.errors import EdgewrightError
from edgewright.file_hashes import HASHES
from edgewright.nouns.board import PARAMIKO, SSH_CLIENTS, Board


def main() -> None:
    """Uploads the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fleet", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--parallel", type=int, default=PARALLEL)
    parser.add_argument("--ssh-client", choices=SSH_CLIENTS, default=PARAMIKO)
    given = parser.parse_args()
    HASHES.begin(given.file)
    fleet = fleets.load(given.fleet)

    def upload(board: Board) -> dict[str, float]:
        began = time.perf_counter()
        with open_session(replace(board, ssh_client=given.ssh_client), fleet) as session:
            opened = time.perf_counter()
            session.put(given.file, label=given.file.name)
            put_s = time.perf_counter() - opened
        return {"session_s": time.perf_counter() - began, "put_s": put_s}

    def failed(board: Board, error: EdgewrightError) -> dict[str, float]:
        raise SystemExit(f"{board.name}: {error.message}")

    results = FanOut(upload, failed, parallel=given.parallel).run(list(fleet.boards.values()))
    json.dump(results, sys.stdout)
    gc.freeze()


if __name__ == "__main__":
    main()
