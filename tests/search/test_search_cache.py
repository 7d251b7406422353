"""The cache: listed, bounded by size and age, and never robbed of what a live process uses."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import result_of

from edgewright.cli.main import main
from edgewright.config import home, usage_marks
from edgewright.errors import UsageError
from edgewright.store import cache

HOLDER = (
    "import sys, pathlib; from edgewright.config import usage_marks as in_use\n"
    "print(in_use.hold(pathlib.Path(sys.argv[1])), flush=True); sys.stdin.read()\n"
)


def evaluation(name: str, size: int, age_s: float) -> Path:
    path = home.folder("evaluations") / f"{name}.npz"
    path.write_bytes(bytes(size))
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def test_what_was_used_longest_ago_goes_first() -> None:
    old, middle, new = (evaluation(f"{index:02x}", 1000, age) for index, age in enumerate((300, 200, 100)))
    assert [entry.name for entry in cache.entries()] == ["02.npz", "01.npz", "00.npz"]
    done = cache.prune(max_bytes=2500)
    assert [entry.path for entry in done.removed] == [old]
    assert (done.kept, done.kept_bytes, done.removed_bytes) == (2, 2000, 1000)
    assert usage_marks.hold(middle)  # its use is noted
    assert [entry.path for entry in cache.prune(max_bytes=1000).removed] == [new]
    assert cache.prune(max_bytes=0).in_use[0].path == middle
    assert middle.exists()
    assert list(home.folder("trash").iterdir()) == []


def test_age_alone_and_a_dry_run() -> None:
    old, new = evaluation("aa", 10, 90_000), evaluation("bb", 10, 10)
    dry = cache.prune(older_than_s=86_400, dry_run=True)
    assert [entry.path for entry in dry.removed] == [old]
    assert old.exists()
    cache.prune(older_than_s=86_400)
    assert not old.exists()
    assert new.exists()


def test_half_made_things_of_killed_processes_go_after_a_day() -> None:
    folder = home.folder("evaluations")
    stale, fresh = folder / "tmpold.part", folder / "tmpnew.part"
    for path in (stale, fresh):
        path.write_bytes(b"x")
    os.utime(stale, (1, 1))
    cache.prune(max_bytes=0)
    assert not stale.exists()
    assert fresh.exists()


def test_what_another_process_uses_stays_until_it_ends() -> None:
    path = evaluation("cc", 10, 1000)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    done = cache.prune(max_bytes=0)
    assert [entry.path for entry in done.in_use] == [path]
    assert path.exists()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert holder.stdin is not None
    holder.stdin.close()
    assert [entry.path for entry in cache.prune(max_bytes=0).removed] == [path]
    assert not path.exists()
    assert not usage_marks.hold(path)


def test_what_another_pruning_removed_is_not_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    old, middle, new = (evaluation(f"{index:02x}", 1000, age) for index, age in enumerate((300, 200, 100)))
    listed = cache.entries()
    cache.prune(max_bytes=2000)
    assert (old.exists(), middle.exists()) == (False, True)
    monkeypatch.setattr(cache, "entries", lambda: listed)  # as one that began at the same time saw it
    done = cache.prune(max_bytes=2000)
    assert (done.removed, done.in_use) == ((), ())
    assert (done.kept, done.kept_bytes) == (2, 2000)
    assert middle.exists()
    assert new.exists()


def test_what_is_no_cache_stays() -> None:
    kept = [home.folder("samples") / "a.npz", home.folder("toolchains") / "x", home.home() / "history.sqlite"]
    for path in kept:
        path.write_bytes(b"x")
    cache.prune(max_bytes=0, older_than_s=0)
    assert all(path.exists() for path in kept)


def test_marks_do_not_use_up_the_descriptors() -> None:
    paths = [evaluation(f"{index:04x}", 1, 5) for index in range(usage_marks.MOST + 20)]
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert all(usage_marks.hold(path) for path in [*paths, *paths])
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + usage_marks.MOST


@pytest.mark.parametrize(
    ("text", "size"), [("10G", 10 * 1024**3), ("1.5 KiB", 1536), ("500m", 500 * 1024**2), ("7", 7)]
)
def test_sizes(text: str, size: int) -> None:
    assert cache.parse_size(text) == size


def test_sizes_and_ages_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache.parse_age("2w") == 14 * 86_400
    for wrong in ("", "G", "-1", "1Q"):
        with pytest.raises(UsageError, match="not a size"):
            cache.parse_size(wrong)
    with pytest.raises(UsageError, match="not an age: 30"):
        cache.parse_age("30")
    monkeypatch.setenv(cache.LIMIT_VARIABLE, "none")
    assert cache.limit() is None
    monkeypatch.setenv(cache.LIMIT_VARIABLE, "many")
    with pytest.raises(UsageError, match="not a size: many"):
        cache.limit()


def test_the_command_lists_and_prunes(capsys: pytest.CaptureFixture[str]) -> None:
    evaluation("dd", 2048, 7200)
    assert main(["cache", "list"]) == 0
    shown = capsys.readouterr().out
    assert "dd.npz" in shown
    assert "2.0 KiB" in shown
    assert "2 h" in shown
    assert main(["cache", "prune", "--max-size", "1K", "--dry-run", "--json"]) == 0
    said = result_of(capsys.readouterr().out)
    assert [entry["name"] for entry in said["removed_entries"]] == ["dd.npz"]
    assert said["dry_run"] is True
    assert main(["cache", "prune", "--older-than", "3h"]) == 0
    assert "removed 0 entries" in capsys.readouterr().out
    assert main(["cache", "prune", "--older-than", "1h"]) == 0
    assert "removed evaluation dd.npz, 2.0 KiB" in capsys.readouterr().out
    assert main(["cache", "prune", "--max-size", "some"]) == 64
