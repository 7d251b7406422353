"""Sends one file to many lab boards at once: edgewright's fan-out next to parallel scp and pyinfra; wall time and host CPU.

The boards share the host's cores, so wall time says little about a fleet of real boards: look at the CPU time, which covers
the host's own processes without the boards' sshds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import measuring
from bench_upload import UPLOAD
from lab_link import Lab, lab, random_file
from measuring import Figures

from edgewright.nouns.board import SSH_CLIENTS

INVENTORY = """\
boards = [
{rows}
]
"""
OPERATION = """\
from pyinfra.operations import files

files.put(name="upload", src={source!r}, dest="payload")
"""


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, default=40)
    parser.add_argument("--megabytes", type=float, default=5)
    parser.add_argument("--parallel", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    default = Path(tempfile.gettempdir()) / "edgewright-bench-pyinfra"
    parser.add_argument(
        "--pyinfra", type=Path, default=default, help="its virtual environment; made when absent"
    )
    parser.add_argument("--no-pyinfra", action="store_true", help="leave its row out")
    given = parser.parse_args()
    pyinfra = None if given.no_pyinfra else pyinfra_of(given.pyinfra)
    with lab(given.boards) as link:
        payload = link.folder / "payload"
        measurers = {
            **{
                f"edgewright, {name}": edgewright(link, payload, given.parallel, name)
                for name in SSH_CLIENTS[1:]
            },
            "scp": scp(link, payload, given.parallel),
        }
        if pyinfra:
            measurers["pyinfra"] = infra(link, payload, given.parallel, pyinfra)
        sized = {name: fresh(one, link, payload, given.megabytes) for name, one in measurers.items()}
        found = measuring.interleave(sized, given.rounds)
    keys = {"wall_s": "wall s", "cpu_s": "host CPU s", "board_ms": "host CPU ms a board"}
    title = f"{given.megabytes:g} MB to {given.boards} boards, {given.parallel} at a time"
    measuring.report(title, found, keys, base="scp")


def pyinfra_of(folder: Path) -> str | None:
    """The pyinfra program in a separate virtual environment: its pins conflict with edgewright's."""
    program = folder / "bin" / "pyinfra"
    if not program.exists():
        measuring.say(f"installing pyinfra into {folder}")
        try:
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
            subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", "pyinfra>=3"], check=True)
        except subprocess.CalledProcessError as error:
            measuring.say(f"no pyinfra, its row is left out: {error}")
            return None
    version = subprocess.run(
        [str(program), "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    measuring.say(version)
    return str(program)


def fresh(
    measure: Callable[[], Figures], link: Lab, payload: Path, megabytes: float
) -> Callable[[int], Figures]:
    """Measures with new random bytes that no board has, and checks that all boards received them."""

    def run(_: int) -> Figures:
        random_file(payload, megabytes)
        figures = measure()
        size = payload.stat().st_size
        for board in link.boards:
            arrived = [*board.root.glob("incoming/*"), *link.home(board).glob("payload*")]
            if [file.stat().st_size for file in arrived] != [size]:
                raise measuring.BenchmarkError(f"{board.name} did not get the file: {arrived}")
            link.forget(board)
        return {**figures, "board_ms": figures["cpu_s"] / len(link.boards) * 1000}

    return run


def edgewright(link: Lab, payload: Path, parallel: int, client: str) -> Callable[[], Figures]:
    """One process, one thread per board."""
    argv = [
        sys.executable,
        UPLOAD,
        str(link.fleet),
        str(payload),
        "--parallel",
        str(parallel),
        "--ssh-client",
        client,
    ]

    def measure() -> Figures:
        spent = measuring.process(argv)
        if len(json.loads(spent.output)) != len(link.boards):
            raise measuring.BenchmarkError(f"not every board answered: {spent.output}")
        return {"wall_s": spent.wall_s, "cpu_s": spent.cpu_s}

    return measure


def scp(link: Lab, payload: Path, parallel: int) -> Callable[[], Figures]:
    """One scp per board, `parallel` at a time."""

    def measure() -> Figures:
        began = time.perf_counter()
        with ThreadPoolExecutor(parallel) as pool:
            argvs = [
                ["scp", "-q", "-P", str(board.port), *link.options(board), str(payload),
                 f"{board.user}@{board.address}:payload"]
                for board in link.boards
            ]  # fmt: skip
            spent = list(pool.map(measuring.process, argvs))
        wall_s = time.perf_counter() - began
        return {"wall_s": wall_s, "cpu_s": sum(one.cpu_s for one in spent)}

    return measure


def infra(link: Lab, payload: Path, parallel: int, program: str) -> Callable[[], Figures]:
    """One pyinfra process for all boards; `put` over SFTP, after comparing the sha1 of what is there."""
    rows = [
        (
            board.name,
            {
                "ssh_hostname": board.address, "ssh_port": board.port, "ssh_user": board.user,
                "ssh_key": str(board.identity), "ssh_known_hosts_file": str(link.known_hosts),
                "ssh_strict_host_key_checking": "yes",
            },
        )
        for board in link.boards
    ]  # fmt: skip
    inventory, operation = link.folder / "inventory.py", link.folder / "operation.py"
    inventory.write_text(INVENTORY.format(rows="\n".join(f"    {row!r}," for row in rows)))
    operation.write_text(OPERATION.format(source=str(payload)))
    argv = [program, "-y", "--parallel", str(parallel), str(inventory), str(operation)]

    def measure() -> Figures:
        spent = measuring.process(argv)
        return {"wall_s": spent.wall_s, "cpu_s": spent.cpu_s}

    return measure


if __name__ == "__main__":
    main()
