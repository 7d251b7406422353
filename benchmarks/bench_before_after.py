"""An earlier version beside this one: the agent, the command line, uploads, and an unchanged deployment over a slow link.

The earlier one is checked out from git and runs with this environment's libraries; each has its own state folder and boards.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import measuring
from lab_link import random_file
from measuring import Figures, Spent

HERE = Path(__file__).parent
ROOTS = ("host", "agent", "targets", "profiles")
VARIABLES = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "EDGEWRIGHT_HOME")
BEFORE, AFTER = "before", "after"
MODEL = bytes.fromhex(
    "08083a330a0c0a0178120179220452656c751201675a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a02080142040a00100d"
)  # one Relu, ONNX
COMMAND = "from edgewright.cli.main import run; run()"
BUSY = f"from edgewright.measure import validity; validity.CONTENTION_INVALID = 2.0; {COMMAND}"  # others may use this machine
UNCHANGED = re.compile(r'"outcome": *"unchanged"')  # versions differ in what is around it
SIZE = """
try:
    from edgewright.connect.agent import package
except ImportError:
    from edgewright.connect import agent_package as package
print(len(package.package().data))
"""
# CPU milliseconds of the agent until it has greeted, of each of some sessions after a first one, which sends it
GREETING = """
import json, os, sys, time
from pathlib import Path
from edgewright.connect.session import connect, start_session
from edgewright.nouns.board import Board, Fleet
board = Board(name="here", address="local:", root=sys.argv[1], python=sys.argv[2])
fleet = Fleet(name="f", path=Path("fleet.toml"), boards={"here": board})
found = []
for _ in range(int(sys.argv[3]) + 1):
    with start_session(board, connect(board, fleet)):
        (child,) = Path("/proc/self/task/%d/children" % os.getpid()).read_text().split()
        found.append(time.clock_gettime((~int(child) << 3) | 2) * 1000)  # that process's CPU clock
print(json.dumps(found[1:]))
"""


@dataclass(frozen=True)
class Version:
    """One version: where its sources are, and its state."""

    sources: Path
    home: Path

    def run(self, *arguments: object) -> Spent:
        """Runs this version's Python, its sources first."""
        before = {name: os.environ.get(name) for name in VARIABLES}
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed version is compiled
        os.environ["PYTHONPATH"] = os.pathsep.join(str(self.sources / root) for root in ROOTS)
        os.environ["EDGEWRIGHT_HOME"] = str(self.home)
        try:
            return measuring.process([sys.executable, *map(str, arguments)])
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})

    def edgewright(self, *arguments: object) -> Spent:
        """Runs its command line."""
        return self.run("-c", COMMAND, *arguments)

    @contextmanager
    def lab(self, count: int, *more: object) -> Iterator[Path]:
        """Boards of this version; their fleet file."""
        self.home.mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="lab", dir=self.home))
        name, fleet = f"lab{count}", folder / "fleet.toml"
        self.edgewright("lab", "up", "--boards", count, "--name", name, "--fleet", fleet, *more)
        try:
            yield fleet
        finally:
            self.edgewright("lab", "down", "--name", name)

    def forget(self) -> None:
        """Removes what was uploaded."""
        for file in self.home.glob("lab/*/*/home/.edgewright/incoming/*"):
            file.unlink()


Versions = dict[str, Version]


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ref", nargs="?", default="HEAD", help="the earlier commit; default: the last one")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long-rounds", type=int, default=3, help="of the uploads and the deployment")
    parser.add_argument("--megabytes", type=float, default=100, help="that one board gets")
    parser.add_argument("--boards", type=int, default=40, help="that get a twentieth of that")
    parser.add_argument("--rtt", type=float, default=200, help="of the slow link, milliseconds")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    given = parser.parse_args()
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgewright-bench-")))
        earlier = stack.enter_context(checked_out(given.ref, place / "sources"))
        both = {
            BEFORE: Version(earlier, place / BEFORE),
            AFTER: Version(HERE.parent, place / AFTER),
        }
        for part in given.only:
            PARTS[part](both, given)


@contextmanager
def checked_out(ref: str, folder: Path) -> Iterator[Path]:
    """The sources of a commit."""
    git = ["git", "-C", str(HERE.parent), "worktree"]
    subprocess.run([*git, "add", "--detach", "--quiet", str(folder), ref], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def compare(
    title: str, measure: Callable[[Version, int], Figures], both: Versions, rounds: int, **keys: str
) -> None:
    """Measures both in turn, prints their table: medians, spreads, and the ratio of each round."""
    contenders = {name: partial(measure, version) for name, version in both.items()}
    found = measuring.interleave(contenders, rounds)
    rows = []
    for key, unit in keys.items():
        cells = [
            f"{measuring.number(measuring.median(runs, key))} ({measuring.number(min(one[key] for one in runs))}-"
            f"{measuring.number(max(one[key] for one in runs))})"
            for runs in (found[BEFORE], found[AFTER])
        ]
        rows.append([unit, *cells, measuring.ratios(found[AFTER], found[BEFORE], key)])
    print(f"### {title}\n\n{measuring.machine()}; {rounds} interleaved rounds: median (least-greatest).\n")
    print(measuring.markdown(["", BEFORE, AFTER, "ratio"], rows), flush=True)


def spent(found: Spent) -> Figures:
    """The figures of a process."""
    return {"wall_s": found.wall_s, "cpu_s": found.cpu_s}


def agent(both: Versions, given: argparse.Namespace) -> None:
    """Its size, and its CPU until it greets."""
    sizes = [int(version.run("-c", SIZE).output) for version in both.values()]
    print(f"### Agent, packed\n\n{sizes[0]} bytes before, {sizes[1]} after, {sizes[1] / sizes[0]:.3f}\n")
    python = str(Path(getattr(sys, "_base_executable", sys.executable)).resolve())

    def greeting(version: Version, _: int) -> Figures:
        found = json.loads(version.run("-c", GREETING, version.home / "root", python, 3).output)
        return {"cpu_ms": statistics.median(found), "least_ms": min(found)}

    compare(
        "Agent up to its greeting", greeting, both, given.rounds, cpu_ms="CPU ms", least_ms="least CPU ms"
    )


def command_line(both: Versions, given: argparse.Namespace) -> None:
    """`--help`, and a conversion from the cache."""

    def shown(version: Version, _: int, *arguments: str) -> Figures:
        runs = [spent(version.edgewright(*arguments)) for _ in range(3)]
        return {key: min(run[key] for run in runs) for key in runs[0]}

    keys = {"cpu_s": "CPU s, least of 3", "wall_s": "wall s, least of 3"}
    for arguments in (("--help",), ("deploy", "--help")):
        compare(
            f"`{' '.join(arguments)}`",
            lambda *a, given=arguments: shown(*a, *given),
            both,
            given.rounds,
            **keys,
        )
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "relu.onnx"
        model.write_bytes(MODEL)
        fp32 = ("convert", str(model), "--target", "onnxruntime", "--precision", "fp32")
        compare("A second `convert`", lambda *a: shown(*a, *fp32), both, given.rounds, **keys)


def upload(both: Versions, given: argparse.Namespace) -> None:
    """A large file to one board."""
    uploads(both, given, 1, given.megabytes)


def fleet(both: Versions, given: argparse.Namespace) -> None:
    """A small file to many boards."""
    uploads(both, given, given.boards, given.megabytes / 20)


def uploads(both: Versions, given: argparse.Namespace, count: int, megabytes: float) -> None:
    """Random bytes to boards, in a separate process."""
    with ExitStack() as stack:
        fleets = {version: stack.enter_context(version.lab(count)) for version in both.values()}
        payload = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "payload"

        def send(version: Version, _: int) -> Figures:
            random_file(payload, megabytes)
            program = version.sources / "benchmarks" / "upload.py"
            found = version.run(program, fleets[version], payload, "--parallel", 16)
            if len(json.loads(found.output)) != count:
                raise measuring.BenchmarkError(f"not every board answered: {found.output}")
            version.forget()
            return spent(found)

        title = f"{megabytes:g} MB to {count} board{'s' if count > 1 else ''}"
        compare(title, send, both, given.long_rounds, cpu_s="host CPU s", wall_s="wall s")


def deployment(both: Versions, given: argparse.Namespace) -> None:
    """The same deployment again, to a board at the end of a slow link; beside `ssh true` over it."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (place / "relu.onnx").write_bytes(MODEL)
        direct = {
            one: stack.enter_context(one.lab(1, "--python", sys.executable, "--profile", "generic-x86_64"))
            for one in both.values()
        }
        links = {one: stack.enter_context(slow(path, given.rtt)) for one, path in direct.items()}
        deploy = ("deploy", place / "relu.onnx", "--to", "all", "--name", "relu", "--target", "onnxruntime", "--precision", "fp32",
                  "--version", "1", "--json", "--fleet")  # fmt: skip
        for version, path in direct.items():
            measuring.say("deploying for the first time")
            version.run("-c", BUSY, *deploy, path)

        def again(version: Version, _: int) -> Figures:
            path, log = links[version]
            log.write_text("")
            found = version.edgewright(*deploy, path)
            if not UNCHANGED.search(found.output):
                raise measuring.BenchmarkError(f"it is not unchanged: {found.output}")
            time.sleep(1)  # until the link has seen the end
            bare = ssh_true(path)
            return {**spent(found), "turns": sum(map(int, log.read_text().split())), "ssh_s": bare.wall_s}

        keys = {"turns": "round trips", "cpu_s": "CPU s", "wall_s": "wall s", "ssh_s": "`ssh true`, wall s"}
        compare(f"An unchanged deployment over {given.rtt:g} ms", again, both, given.long_rounds, **keys)


@contextmanager
def slow(path: Path, rtt_ms: float) -> Iterator[tuple[Path, Path]]:
    """The fleet file with its one board behind a slow link, and the link's log."""
    folder = path.parent / "slow"
    folder.mkdir()
    for file in path.parent.glob("fleet*.toml"):
        shutil.copy(file, folder)
    (board,) = tomllib.loads(path.read_text())["boards"].values()
    log = folder / "turns"
    argv = [sys.executable, str(HERE / "slow_link.py"), str(board["port"]), str(rtt_ms), str(log)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as link:
        port = int(link.stdout.readline() if link.stdout else "")
        text = path.read_text().replace(f"port = {board['port']}", f"port = {port}")
        (folder / path.name).write_text(text)
        try:
            yield folder / path.name, log
        finally:
            link.kill()


def ssh_true(path: Path) -> Spent:
    """What OpenSSH takes to log in, run nothing, and end."""
    (board,) = tomllib.loads(path.read_text())["boards"].values()
    plain = [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "IdentitiesOnly=yes",
        "BatchMode=yes",
    ]
    flags = [flag for one in (*plain, "LogLevel=ERROR") for flag in ("-o", one)]
    where = f"{board['user']}@{board['address']}"
    return measuring.process(
        ["ssh", "-F", "none", "-i", board["identity"], *flags, "-p", str(board["port"]), where, "true"]
    )


PARTS: dict[str, Callable[[Versions, argparse.Namespace], None]] = {
    "agent": agent,
    "command-line": command_line,
    "upload": upload,
    "fleet": fleet,
    "deployment": deployment,
}

if __name__ == "__main__":
    main()
