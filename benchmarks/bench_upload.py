"""Upload of random bytes to one lab board over a local OpenSSH sshd: Session.put beside scp and rsync."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import measuring
from lab_link import Lab, lab, random_file
from measuring import Figures

UPLOAD = str(Path(__file__).with_name("upload.py"))
GCM = "aes128-gcm@openssh.com"


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with lab(1) as link:
        payload = link.folder / "payload"
        measurers = contenders(link, payload, given.megabytes)
        found = measuring.interleave(measurers, given.rounds)
    keys = {"mb_per_s": "MB/s", "wall_s": "wall s", "put_s": "transfer alone s", "cpu_s": "CPU s"}
    measuring.report(f"Upload of {given.megabytes:g} MB to one board", found, keys, base="scp")


def contenders(link: Lab, payload: Path, megabytes: float) -> dict[str, Callable[[int], Figures]]:
    """Name -> what uploads new random bytes once."""
    board = link.boards[0]
    options, where = link.options(board), f"{board.user}@{board.address}:payload"
    shell = " ".join(["ssh", "-p", str(board.port), *options])
    commands = {
        "edgewright": [sys.executable, UPLOAD, str(link.fleet), str(payload)],
        "scp": ["scp", "-q", "-P", str(board.port), *options, str(payload), where],
        f"scp -c {GCM}": ["scp", "-q", "-c", GCM, "-P", str(board.port), *options, str(payload), where],
    }
    if shutil.which("rsync"):
        commands["rsync"] = ["rsync", "-e", shell, str(payload), where]
    else:
        measuring.say("no rsync here: its row is left out")

    def measurer(argv: list[str]) -> Callable[[int], Figures]:
        def measure(_: int) -> Figures:
            random_file(payload, megabytes)
            spent = measuring.process(argv)
            figures = {"wall_s": spent.wall_s, "cpu_s": spent.cpu_s, "mb_per_s": megabytes / spent.wall_s}
            if spent.output:
                figures["put_s"] = json.loads(spent.output)[0]["put_s"]
            link.forget(board)
            return figures

        return measure

    return {name: measurer(argv) for name, argv in commands.items()}


if __name__ == "__main__":
    main()
