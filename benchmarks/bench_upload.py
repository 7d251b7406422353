"""Measures the upload of random bytes to one lab board over a local OpenSSH sshd: Session.put next to scp and rsync."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import measuring
from lab_link import Lab, lab, random_file
from measuring import Figures

from edgewright.nouns.board import SSH_CLIENTS

UPLOAD = str(Path(__file__).with_name("upload.py"))
GCM = "aes128-gcm@openssh.com"


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with lab(1) as link, master(link) as control:
        payload = link.folder / "payload"
        found = measuring.interleave(contenders(link, payload, given.megabytes, control), given.rounds)
    for name in SSH_CLIENTS[1:]:
        found[f"edgewright, {name}, session open"] = [
            {"wall_s": run["put_s"], "mb_per_s": given.megabytes / run["put_s"]}
            for run in found[f"edgewright, {name}"]
        ]
    keys = {"mb_per_s": "MB/s", "wall_s": "wall s", "cpu_s": "CPU s"}
    measuring.report(f"Upload of {given.megabytes:g} MB to one board", found, keys, base="scp")


@contextmanager
def master(link: Lab) -> Iterator[str]:
    """A login that later `scp`s share; returns the path of its socket."""
    board = link.boards[0]
    control = str(link.folder / "master")
    common = ["ssh", "-S", control, "-p", str(board.port), *link.options(board)]
    where = f"{board.user}@{board.address}"
    subprocess.run([*common, "-M", "-N", "-f", where], check=True, stdin=subprocess.DEVNULL)
    try:
        yield control
    finally:
        subprocess.run([*common, "-O", "exit", where], check=True, capture_output=True)


def contenders(
    link: Lab, payload: Path, megabytes: float, control: str
) -> dict[str, Callable[[int], Figures]]:
    """Name -> function that uploads new random bytes once."""
    board = link.boards[0]
    options, where = link.options(board), f"{board.user}@{board.address}:payload"
    shell = " ".join(["ssh", "-p", str(board.port), *options])
    scp, what = ["scp", "-q", "-P", str(board.port), *options], [str(payload), where]
    commands = {
        **{
            f"edgewright, {name}": [
                sys.executable,
                UPLOAD,
                str(link.fleet),
                str(payload),
                "--ssh-client",
                name,
            ]
            for name in SSH_CLIENTS[1:]
        },
        "scp": [*scp, *what],
        f"scp -c {GCM}": [*scp, "-c", GCM, *what],
        "scp, connected already": [*scp, "-o", f"ControlPath={control}", *what],
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
