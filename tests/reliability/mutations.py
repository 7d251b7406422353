"""Switches the board's safeguards off, one at a time, and runs the tests that must notice.

Usage: python tests/reliability/mutations.py [NAME...]
Each runs on a copy of the tree. Prints a table; exits 1 when a safeguard's loss goes unnoticed, or its text is gone.
Signatures and release counters wait until the board has them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from verdict_mutations import OF_THE_VERDICT

REPOSITORY = Path(__file__).parents[2]
COPIED = ("agent", "host", "targets", "profiles", "tests", "tools", "pyproject.toml")
AGENT, HOST = "agent/edgewright_agent/", "host/edgewright/"
QUICK = "not slow and not exhaustive"
SWITCHED_OFF = "EDGEWRIGHT_TEST_MUTATED"  # set in the tests' environment: that one fails is enough, none looks for the shortest way to
CORE, HERE = "tests/agent_core/test_agent_core_", "tests/reliability/test_reliability_"


class Mutation(NamedTuple):
    """One safeguard switched off: `old` becomes `new` in `file`, and `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTATIONS = [
    Mutation(
        "hash check of uploads",
        AGENT + "storage/incoming.py",
        "if digest.hexdigest() != sha256:",
        "if False:",
        (CORE + "session.py::test_wrong_bytes_are_dropped_and_the_stream_stays_in_step",),
    ),
    Mutation(
        "hash check of installed files",
        AGENT + "storage/integrity.py",
        "return self.known[key] == sha256",
        "return True",
        (CORE + "trial.py::test_a_damaged_release_is_not_activated",),
    ),
    Mutation(
        "hash check of the state",
        AGENT + "storage/state.py",
        'if hashlib.sha256(body).hexdigest().encode("ascii") != checksum:',
        "if not body:",
        (HERE + "bad_sectors.py::test_a_changed_bit_that_leaves_a_slot_readable_is_noticed",),
    ),
    Mutation(
        "hash check of runners",
        AGENT + "installed/runners.py",
        "return data if hashlib.sha256(data).hexdigest() == sha256 else None",
        "return data",
        (CORE + "runners.py::test_a_runner_that_was_changed_never_runs_and_is_replaced",),
    ),
    Mutation(
        "prune keeps the runners of known-good releases",
        AGENT + "lifecycle/status.py",
        'runners = {about.get("runner") for about in abouts}',
        'runners = {about.get("runner") for about in abouts if about["state"] == "trial"}',
        (CORE + "runners.py::test_a_prune_keeps_the_runners_of_the_releases_that_stay",),
    ),
    Mutation(
        "only the administrator's runners behind a forced command",
        AGENT + "installed/runners.py",
        "        if self.forced:\n            return self.own.get(sha256)\n",
        "",
        (CORE + "runners.py::test_a_forced_command_takes_no_runner_from_the_root_folder",),
    ),
    Mutation(
        "golden check",
        AGENT + "checks/verify.py",
        '"ok": not failed,',
        '"ok": True,',
        (CORE + "work.py::test_wrong_answers_and_files_that_do_not_load_are_remembered",),
    ),
    Mutation(
        "gate: an accuracy passes what is less exact",
        HOST + "deploy/gate.py",
        "if not low or limited:",
        "if True:",
        ("tests/host/test_host_gate.py",),
    ),
    Mutation(
        "gate: answers",
        HOST + "deploy/gate.py",
        "ok = verified.ok and",
        "ok =",
        ("tests/host/test_host_gate.py",),
    ),
    Mutation(
        "gate: the source vouches, no incumbent",
        HOST + "deploy/gate.py",
        'check.name == f"accuracy against {SOURCE}" and',
        "'accuracy against' in check.name and",
        ("tests/host/test_host_gate.py",),
    ),
    Mutation(
        "gate: limits",
        HOST + "deploy/gate.py",
        "ok=value <= limit,",
        "ok=True,",
        ("tests/host/test_host_gate.py",),
    ),
    Mutation(
        "gate: accuracy",
        HOST + "deploy/gate.py",
        "ok=drop <= limit + 1e-9,",
        "ok=True,",
        ("tests/host/test_host_gate.py",),
    ),
    Mutation(
        "gate: validity",
        HOST + "deploy/gate.py",
        "ok=not candidate.invalid,",
        "ok=True,",
        ("tests/host/test_host_gate.py",),
    ),
    Mutation(
        "fsync of folders",
        AGENT + "storage/files.py",
        'self.step("fsync-folder", relative)\n            os.fsync(folder)\n\n    def make_folder',
        'self.step("fsync-folder", relative)\n\n    def make_folder',
        (HERE + "crash.py::test_a_sample_of_crashes",),
    ),
    Mutation(
        "fsync of files",
        AGENT + "storage/files.py",
        'self.step("fsync", relative)\n        os.fsync(descriptor)',
        'self.step("fsync", relative)',
        (HERE + "crash.py::test_a_sample_of_crashes",),
    ),
    Mutation(
        "watchdog",
        AGENT + "lifecycle/deadline.py",
        "        left = clock.left(deadline)\n        if left <= 0:",
        "        left = 1.0\n        if left <= 0:",
        (CORE + "trial.py::test_the_host_vanishing_in_a_hook_ends_hook_and_agent_and_the_watchdog_reverts",),
    ),
    Mutation(
        "lock",
        AGENT + "storage/state.py",
        "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
        (HERE + "lock.py",),
    ),
    Mutation(
        "compare-and-swap",
        AGENT + "lifecycle/trial.py",
        'if record["current"] != expected:',
        "if False:",
        (CORE + "trial.py::test_activation_is_compare_and_swap",),
    ),
    Mutation(
        "lease",
        AGENT + "storage/lease.py",
        'if not lease or lease["txn"] != txn:\n        holder',
        "if not lease:\n        holder",
        (HERE + "machine.py::test_two_hosts_and_a_board_that_dies",),
    ),
    Mutation(
        "deadline: time",
        AGENT + "lifecycle/trial.py",
        'if clock.left(trial["deadline"]) > 0 and trial["phase"] == "trial":',
        'if trial["phase"] == "trial":',
        (HERE + "machine.py::test_two_hosts_and_a_board_that_dies",),
    ),
    Mutation(
        "deadline: another boot",
        AGENT + "clock.py",
        'if deadline["boot_id"] != boot_id():',
        "if False:",
        (CORE + "trial.py::test_a_reboot_ends_a_trial_whatever_time_it_had_left",),
    ),
    Mutation(
        "recovery of a trial",
        AGENT + "lifecycle/recovery.py",
        'if trial and clock.left(trial["deadline"]) <= 0:',
        "if False:",
        (HERE + "crash.py::test_a_sample_of_crashes",),
    ),
    Mutation(
        "links follow the state",
        AGENT + "lifecycle/recovery.py",
        "if found != wanted:",
        "if False:",
        (HERE + "crash.py::test_a_sample_of_crashes",),
    ),
    Mutation(
        "prune keeps what is needed",
        AGENT + "installed/releases.py",
        'ends = [record["current"], record["last_good"]] + ([trial["from"], trial["to"]] if trial else [])',
        'ends = [record["last_good"]] + ([trial["from"]] if trial else [])',
        (HERE + "machine.py::test_two_hosts_and_a_board_that_dies",),
    ),
    Mutation(
        "what is known good is committed",
        AGENT + "storage/state.py",
        "return put_right(state)",
        "return state",
        (CORE + "trial.py::test_a_known_good_release_that_an_older_agent_left_on_trial_comes_back",),
    ),
    Mutation(
        "a trial leaves no mark on what was committed",
        AGENT + "lifecycle/trial.py",
        'if about and about["state"] != "committed":',
        "if about:",
        (CORE + "trial.py::test_a_release_that_was_committed_stays_so_after_a_trial_that_nobody_committed",),
    ),
    Mutation(
        "reserve for a revert",
        AGENT + "lifecycle/trial.py",
        "self.files.remove_file(release_files.RESERVE)",
        "pass",
        (HERE + "full_disk.py",),
    ),
    Mutation(
        "telling the application of a revert",
        AGENT + "lifecycle/trial.py",
        "        if moved:",
        "        if False:",
        (HERE + "crash.py::test_a_sample_of_crashes",),
    ),
    Mutation(
        "doubt after a failed fsync",
        AGENT + "storage/state.py",
        "self.doubt = True",
        "self.doubt = False",
        (HERE + "errors.py::test_a_sample_of_disk_errors",),
    ),
    Mutation(
        "a failure is held against its runner alone",
        AGENT + "installed/releases.py",
        'part, now = ("runner", runner) if entry["hooks"] is None else ("hooks", hooks)',
        'part, now = ("artifact", artifact) if entry["hooks"] is None else ("hooks", hooks)',
        (CORE + "runners.py::test_what_failed_on_one_runner_is_tried_on_another",),
    ),
    Mutation(
        "the code that converts is in the cache key",
        HOST + "compile/cache_key.py",
        '"code": fingerprint(),',
        '"code": "",',
        ("tests/compile/test_compile_fingerprint.py::test_an_edited_file_is_another_key_and_converts_again",),
    ),
    Mutation(
        "the state folder is the user's own",
        HOST + "config/home.py",
        "path.mkdir(mode=0o700, exist_ok=True)",
        "path.mkdir(exist_ok=True)",
        ("tests/host/test_host_home.py",),
    ),
    *(Mutation(*one) for one in OF_THE_VERDICT),
]


def copy(folder: Path) -> None:
    """The tree, without what is made from it."""
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy(source, folder / name)


def apply(mutation: Mutation, folder: Path) -> str:
    """Change the copy. Returns what the file held."""
    path = folder / mutation.file
    text = path.read_text()
    if text.count(mutation.old) != 1:
        raise SystemExit(f"error: {mutation.file} does not hold this once: {mutation.old!r}")
    path.write_text(text.replace(mutation.old, mutation.new))
    return text


def run(tests: tuple[str, ...], folder: Path) -> tuple[int, str]:
    """pytest's exit code, and its last line."""
    roots = os.pathsep.join(str(folder / name) for name in ("agent", "host", "targets", "profiles"))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", QUICK, "-p", "no:cacheprovider", *tests]
    environment = {
        **os.environ,
        "PYTHONPATH": roots,
        "EDGEWRIGHT_FAULTS": str(folder / "faults.jsonl"),
        SWITCHED_OFF: "1",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr.strip()[-200:]
    return done.returncode, last


def noticed(mutation: Mutation, folder: Path) -> tuple[bool, str]:
    """Whether the tests fail in a copy with a safeguard switched off, and pytest's last line. The copy is as before then."""
    text = apply(mutation, folder)
    try:
        code, last = run(mutation.tests, folder)
    finally:
        (folder / mutation.file).write_text(text)
    return code == 1, last


def main(wanted: list[str]) -> int:
    """Run the mutations; the exit code."""
    chosen = [one for one in MUTATIONS if not wanted or one.name in wanted]
    missed = [] if chosen else ["no such mutation"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        copy(folder)
        code, last = run(tuple(dict.fromkeys(test for one in chosen for test in one.tests)), folder)
        if code:
            raise SystemExit(f"error: the tests fail with nothing switched off: {last}")
        sys.stdout.write("| safeguard switched off | noticed | seconds | by |\n|---|---|---|---|\n")
        for mutation in chosen:
            began = time.monotonic()
            found, last = noticed(mutation, folder)
            missed += [] if found else [mutation.name]
            words = f"{'yes' if found else 'NO'} | {time.monotonic() - began:.0f} | {last}"
            sys.stdout.write(f"| {mutation.name} | {words} |\n")
            sys.stdout.flush()
    for name in missed:
        sys.stderr.write(f"error: the tests do not notice the loss of: {name}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
