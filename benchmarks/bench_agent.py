"""Measures the agent next to a bare `python3`: size of its .pyz, start to greeting, memory, what it leaves behind; and comparing goldens."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import measuring
import msgspec
import numpy as np
from lab_link import Lab, lab, random_file
from measuring import Figures

from edgewright import targets
from edgewright.config import fleet as fleets
from edgewright.connect.agent import package as agent_package
from edgewright.connect.agent import runner_package
from edgewright.connect.session import Session, connect, start_session
from edgewright.lab import processes
from edgewright.lab.processes import Process
from edgewright.nouns.board import Board, Fleet
from edgewright.wire import commands
from edgewright.wire.local_machine import LocalTransport
from edgewright.wire.transport import Transport

PYZ_LIMIT = 59 * 1024  # bytes
OUTPUT = (84, 8400)  # a detector's
WORK_MEGABYTES = 20
BARE = "import json,hashlib,subprocess,os;os.write(1,bytes(1));os.read(0,1)"
COMPARE = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from edgewright_agent.checks import verify as work
began = time.process_time()
found = work.compare(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))
spent = time.process_time() - began
with open("/proc/self/status") as file:  # ru_maxrss counts the process that started this one
    peak_kb = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
print(json.dumps([found["ok"], spent, peak_kb * 1024 / 1e6]))
"""
PROC = Path("/proc")
CPUCLOCK_SCHED = 2  # with the process id above it: the id of that process's CPU clock, as Linux encodes it


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--goldens", type=int, default=2, help=f"that are compared, of one output {OUTPUT}")
    default = getattr(sys, "_base_executable", sys.executable)
    parser.add_argument(
        "--python", default=default, help="the board's, an absolute path; default: this one's"
    )
    given = parser.parse_args()
    python = str(Path(given.python).resolve())
    size()
    comparison(python, given.goldens, given.rounds)
    with lab(1, python=python) as link:
        fleet = fleets.load(link.fleet)
        ssh_board = msgspec.structs.replace(next(iter(fleet.boards.values())), python=python)
        local_board = msgspec.structs.replace(ssh_board, address="local:", root=str(link.folder / "root"))
        payload = random_file(link.folder / "payload", WORK_MEGABYTES)
        for title, board in (("a pipe", local_board), ("SSH", ssh_board)):
            contenders: dict[str, Callable[[int], Figures]] = {
                "bare python3": partial(bare, board, fleet, link),
                "agent": partial(agent, board, fleet, link, payload),
            }
            found = measuring.interleave(contenders, given.rounds)
            report(f"Start over {title}, the board's {version(python)}", found)
        count = left(link)
    print(f"Processes of the board besides its sshd after {2 * (given.rounds + 1)} sessions: {count}\n")


def report(title: str, found: dict[str, list[Figures]]) -> None:
    """Prints the table of one link."""
    keys = {
        "first_ms": "start to first word ms",
        "cpu_ms": "CPU until then ms",
        "peak_mb": "VmHWM then MB",
        "worked_mb": f"VmHWM after facts and {WORK_MEGABYTES} MB MB",
    }
    measuring.report(title, found, keys, base="bare python3")


def size() -> None:
    """Prints the sizes of the .pyz and of the runners, each of which is sent only to boards that use it."""
    package = agent_package.package()
    rows = [["agent .pyz", len(package.data), PYZ_LIMIT, f"{len(package.data) / PYZ_LIMIT:.2f}"]]
    for target in targets.names():
        rows.append([f"runner {target}", len(runner_package.package(target).data), "-", "-"])
    print("### Size\n\n" + measuring.markdown(["", "bytes", "limit", "share"], rows))


def comparison(python: str, goldens: int, rounds: int) -> None:
    """Prints the cost of comparing the goldens, with a tolerance, and with limits for the whole output and for each of 84 slices."""
    millions = goldens * math.prod(OUTPUT) / 1e6
    with tempfile.TemporaryDirectory() as place:
        asked = manifests(Path(place), goldens)
        contenders = {
            name: partial(compared, python, Path(place), manifest, millions)
            for name, manifest in asked.items()
        }
        found = measuring.interleave(contenders, rounds)
    title = f"Comparing {goldens} goldens of {OUTPUT}, {millions:.3g} million values, {version(python)}"
    measuring.report(title, found, {"cpu_ms": "CPU ms per million", "peak_mb": "VmHWM MB"}, base="schema 1")


def manifests(folder: Path, goldens: int) -> dict[str, dict[str, object]]:
    """Writes outputs, references, and a manifest of each schema whose limits the outputs meet."""
    random = np.random.default_rng(1)
    references = random.normal(size=(goldens, *OUTPUT)).astype(np.float32)
    outputs = references + random.normal(0, 1e-3, references.shape).astype(np.float32)
    np.savez(folder / "goldens.npz", output_0=references)
    np.savez(folder / "outputs.npz", output_0=outputs)
    wide = {"noise": 1e9, "error": 1e9, "unequal": None, "apart": None}
    limits = {**wide, "slices": [{"axis": 0, "noise": [1e9] * OUTPUT[0]}]}
    one = {"outputs": [{"name": "y", "shape": OUTPUT, "dtype": "float32"}], "verdict": [{"limits": limits}]}
    one["goldens"] = {"tolerance": {"sqnr_db": 9.0, "relative": 0.45}}
    return {f"schema {schema}": {"schema": schema, **one} for schema in (1, 2)}


def compared(python: str, folder: Path, manifest: dict[str, object], millions: float, _: int) -> Figures:
    """One comparison, in a process of the board's Python."""
    sources = agent_package.source_folder("edgewright_agent").parent
    files = [str(folder / name) for name in ("outputs.npz", "goldens.npz")]
    done = measuring.process(
        [python, "-I", "-S", "-B", "-c", COMPARE, str(sources), *files, json.dumps(manifest)]
    )
    ok, seconds, peak_mb = json.loads(done.output)
    if not ok:
        raise measuring.BenchmarkError("the answers were refused")
    return {"cpu_ms": seconds * 1000 / millions, "peak_mb": peak_mb}


def version(python: str) -> str:
    """Name and version of a Python."""
    return measuring.process(
        [python, "-c", "import platform;print('Python', platform.python_version())"]
    ).output.strip()


def bare(board: Board, fleet: Fleet, link: Lab, _: int) -> Figures:
    """A Python that imports three modules of the standard library and writes one byte."""
    transport = connect(board, fleet)
    try:
        began = time.perf_counter()
        channel = transport.run(f'exec {board.python} -I -S -B -c "{BARE}"')
        channel.receive(1, 30)
        first_ms = (time.perf_counter() - began) * 1000
        figures = {"first_ms": first_ms, **usage(transport, link)}
        channel.finish()
        channel.exit_code(5)
        channel.close()
        return figures
    finally:
        transport.close()


def agent(board: Board, fleet: Fleet, link: Lab, payload: Path, _: int) -> Figures:
    """The agent; except in the warm-up, its .pyz is already on the board."""
    transport = connect(board, fleet)
    began = time.perf_counter()
    session = start_session(board, transport)
    first_ms = (time.perf_counter() - began) * 1000
    with session:
        figures = {"first_ms": first_ms, **usage(transport, link)}
        work(session, payload)
        figures["worked_mb"] = usage(transport, link)["peak_mb"]
    for file in Path(board.root).glob("incoming/*"):
        file.unlink()
    link.forget(link.boards[0])
    return figures


def work(session: Session, payload: Path) -> None:
    """The steps of every deployment: facts, an upload, the status."""
    session.facts()
    session.put(payload)
    session.call(commands.Status())


def usage(transport: Transport, link: Lab) -> Figures:
    """CPU milliseconds and peak memory (MiB) so far of the Python at the other end."""
    return spent(child() if isinstance(transport, LocalTransport) else on_board(link))


def spent(pid: int) -> Figures:
    """CPU milliseconds and peak memory (MiB) of a running process, including threads that have ended."""
    seconds = time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    peak_kb = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return {"cpu_ms": seconds * 1e3, "peak_mb": peak_kb / 1024}


def child() -> int:
    """The only child of this process."""
    (found,) = [pid for pid, parent in processes.table().items() if parent == os.getpid()]
    return found


def on_board(link: Lab) -> int:
    """The Python on the lab's board."""
    (found,) = [one.pid for one in others(link) if b"\0-I\0-S\0" in processes.arguments(one.pid)]
    return found


def others(link: Lab) -> list[Process]:
    """The processes of the lab's board other than its server."""
    board = link.boards[0]
    server = Process(board.pid, processes.started(board.pid))
    return [one for one in processes.members({board.folder: server})[board.folder] if one != server]


def left(link: Lab) -> int:
    """The number of processes left on the board after sshd has closed the last session."""
    time.sleep(1)
    return len(others(link))


if __name__ == "__main__":
    main()
