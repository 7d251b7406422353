"""Writes docs/reliability.md from what the tests noted with the fixture `survived`.

Usage: python tests/reliability/report.py [FAULTS.jsonl]
Run `make test-all` before: each test counts with its last run. Exits 1 where a fault was not survived, or none was noted.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "reliability.md"
DEFAULT = REPOSITORY / ".pytest_cache" / "faults.jsonl"
SAFEGUARDS = "Safeguards switched off"
HEAD = """# What was tried against a board, and survived

<!-- written by `tests/reliability/report.py` from the last run of each test: do not edit -->

Survived means: `current` is the old or the new release, whole; what was reported to the host holds; nothing uncommitted outlives
its deadline or a reboot; and a following deployment works. Where the peer is at fault, that it got an error in bounded
time and memory, and the board stayed as it was. The rules are in [board.md](board.md), the tests in `tests/`.

Legal disks are too many to try all: what was tried is counted, no more is claimed. What the quick tests repeat counts twice.

- **Power cuts**: an operation is recorded once; then, for the moment after each of its changes, disks are made that a power cut may leave
  (all, none, each single one, or all but one of the unsynced changes lost, or unsynced bytes turned to zeros; where more than 16 are
  unsynced, the oldest and newest eight alone; of deletions in the trash each fourth), the agent is started on each different one, and
  its recovery is cut too, and the recovery of that. The disk is modelled, not a real one that loses power.
- **Process killed**: the agent ends before each change of the disk, and the board goes on.
- **Disk errors**: each change of every operation is refused, once or from then on; then the power goes as well.
- **State machine**: Hypothesis plays two hosts whose acknowledgements get lost, leases that run out, watchdogs that are killed, reboots,
  power cuts, and a wall clock that is ten years off.
- **Links**: a proxy delays, throttles, cuts and stalls a real SSH connection.
- **Machines**: an emulated arm64 machine with its own kernel and ext4; its emulator is killed to cut its power, and its kernel's netem loses,
  delays and reorders packets, both ways.
- **Random kills**: two boards over real sshd, two models on each; deployments, rollbacks, benchmarks and provisions, in each of which the host,
  the agent, its child, a watchdog or the SSH session is killed at a random moment. `current` is read all along.
- **Safeguards switched off**: the list that proves that the tests look; each loss was noticed.
"""


def rows(path: Path) -> dict[str, list[int]]:
    """{kind: [tried, survived]}, of each test's last run."""
    noted = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    last = {row["test"]: row["run"] for row in noted}
    counts: dict[str, list[int]] = {}
    for row in noted:
        if last[row["test"]] == row["run"]:
            one = counts.setdefault(row["kind"], [0, 0])
            one[0] += row["tried"]
            one[1] += row["survived"]
    return counts


def cell(text: str) -> str:
    """Text that stays in its cell."""
    return text.replace("|", "\\|").strip()


def page(counts: dict[str, list[int]]) -> str:
    """The page."""
    groups: dict[str, list[str]] = {}
    for kind in sorted(counts):
        group, _, what = kind.partition(":")
        tried, survived = counts[kind]
        groups.setdefault(group.strip().capitalize(), []).append(
            f"| {cell(what or group)} | {tried} | {survived} |"
        )
    parts = [HEAD]
    faults = [one for kind, one in counts.items() if not kind.startswith(SAFEGUARDS)]
    tried, survived = (sum(one[n] for one in faults) for n in (0, 1))
    parts.append(f"In all {tried} faults were tried, and {survived} survived.\n")
    for group, lines in groups.items():
        head = "switched off | tried | noticed" if group == SAFEGUARDS else "fault | tried | survived"
        parts.append(f"## {group}\n\n| {head} |\n|---|---:|---:|\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def main(path: str | None = None) -> int:
    """Write the page; the exit code."""
    counts = rows(Path(path or os.environ.get("EDGEWRIGHT_FAULTS") or DEFAULT))
    if not counts:
        sys.stderr.write("error: no test noted a fault\nhint: make test-all\n")
        return 1
    PAGE.write_text(page(counts))
    lost = [kind for kind, (tried, survived) in counts.items() if survived < tried]
    for kind in lost:
        sys.stderr.write(f"error: not every fault was survived: {kind}\n")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
