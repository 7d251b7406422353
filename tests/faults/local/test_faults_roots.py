"""Root folders that must not be used: real mounts, other owners, links; nothing in them changes."""

from __future__ import annotations

import itertools
import stat
import sys
from shlex import quote

import pytest

BIND = "mkdir -p {0} {1}; mount --bind {0} {1}; "
MOUNTS = {  # shell commands with {0}: a real folder, {1}: the root's place -> a word of the refusal; empty: accepted
    "read-only": (BIND + "mount -o remount,bind,ro {1}", "read-only"),
    "noexec": (BIND + "mount -o remount,bind,noexec {1}", "noexec"),
    "tmpfs": ("mkdir -p {1}; mount -t tmpfs none {1}", "volatile"),
    "ramfs": ("mkdir -p {1}; mount -t ramfs none {1}", "volatile"),
    "overlay in memory": (
        "mkdir -p {0} {0}.m {1}; mount -t tmpfs none {0}.m; mkdir {0}.m/u {0}.m/w; "
        "mount -t overlay -o lowerdir={0},upperdir={0}.m/u,workdir={0}.m/w none {1}", "volatile"),
    "overlay on the disk": (
        "mkdir -p {0} {0}.u {0}.w {1}; mount -t overlay -o lowerdir={0},upperdir={0}.u,workdir={0}.w none {1}", ""),
    "overlay without an upper folder": (
        "mkdir -p {0} {0}.u {1}; mount -t overlay -o lowerdir={0}:{0}.u none {1}", "read-only"),
    "mounted over": (BIND + "mount -t tmpfs none {1}; mount --bind {0} {1}", ""),
    "a good one below a bad one": ("mkdir -p {0} {1}; mount -t tmpfs none {1}; mkdir {1}/in; mount --bind {0} {1}/in", ""),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(MOUNTS))
def test_a_mount_that_will_not_do_is_refused(start, tmp_path, survived, what):
    script, word = MOUNTS[what]
    place = tmp_path / "a place" / "mount"
    root = place / "in" / "root" if "below" in what else place / "root"
    agent = start(root, before=script.format(quote(str(tmp_path / "real")), quote(str(place))))
    if word:
        assert (
            agent.greeting["error"]["code"] == "root-refused" and word in agent.greeting["error"]["message"]
        )
    else:
        assert agent.greeting["root"] == str(root)
        assert agent.call("status")["ok"]["problem"] == ""
    survived("roots: read-only, noexec, in memory, overlays: real mounts")


def test_a_root_that_becomes_read_only_says_so_and_goes_on(start, tmp_path, kit, survived):
    """As ext4 does after an error: the mount becomes read-only while the agent runs."""
    place = tmp_path / "mount"
    before = BIND.format(quote(str(tmp_path / "real")), quote(str(place)))
    turn = f"mount -o remount,bind,ro {quote(str(place))}"  # refused while a file is open for writing
    fails = tmp_path / "fails"
    again = f"for _ in $(seq 3000); do [ -e {quote(str(fails))} ] && {turn} 2>/dev/null && break; sleep 0.02; done"
    agent = start(place / "root", before=before + f"({again}) &\n")
    assert "ok" in agent.put(b"early", kit.sha(b"early"))
    fails.touch()
    count = itertools.count()

    def refused():
        data = b"late %d" % next(count)
        return "error" in agent.put(data, kit.sha(data))

    kit.wait_until(refused)
    error = agent.put(b"later", kit.sha(b"later"))["error"]
    assert error["code"] == "io" and "read-only" in error["message"].lower()
    assert "error" in agent.call("begin", model="m", txn="a" * 32, host="h", ttl_s=5)
    assert "ok" in agent.call("status") and "ok" in agent.call("ping")
    survived("roots: read-only all of a sudden")


PLANTED = (
    "incoming",
    "models",
    "runtimes",
    "results",
    "trash",
    "hooks",
    "agent",
    "lock",
    "state.0.json",
    "board_id",
    "agent.log",
    "reserve",
)


@pytest.mark.parametrize("name", PLANTED)
def test_links_planted_in_the_root_lead_nowhere(start, tmp_path, tree, kit, survived, name):
    """An intruder left a link; the agent must not write through it."""
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir(mode=0o700)
    (outside / "file").write_text("precious")
    root.mkdir(mode=0o700)
    (root / name).symlink_to(
        outside if "." not in name and name not in ("lock", "board_id", "reserve") else outside / "file"
    )
    before = tree(outside)
    agent = start(root, command=(sys.executable,))
    if "error" not in agent.greeting:
        agent.put(b"bytes", kit.sha(b"bytes"))
        agent.call("begin", model="m", txn="a" * 32, host="h", ttl_s=5)
        agent.call("logs", lines=5)
        agent.call("prune", keep=1)
    assert tree(outside) == before
    survived("roots: links planted inside")


def test_a_symlinked_root_and_a_root_below_a_link(start, tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    agent = start(tmp_path / "link", before="")
    assert (
        agent.greeting["error"]["code"] == "root-refused"
        and "symbolic link" in agent.greeting["error"]["message"]
    )
    assert list((tmp_path / "real").iterdir()) == []


BAD = [
    "",
    ".",
    "relative/root",
    "/",
    "//",
    "/tmp/../etc",
    "/dev/null/root",
    "/proc/self/root",
    "a\nb",
    "/etc/passwd",
]


@pytest.mark.parametrize("root", BAD)
def test_paths_that_are_no_root(start, root, survived):
    agent = start(root)
    assert agent.greeting["error"]["code"] == "root-refused", agent.greeting
    survived("roots: paths that cannot be a root")


@pytest.mark.parametrize("umask", ["000", "027", "777"])
def test_whatever_the_logins_umask_all_is_for_the_owner_alone(start, tmp_path, kit, umask, survived):
    agent = start(tmp_path / "root", before=f"umask {umask}")
    assert "ok" in agent.put(b"bytes", kit.sha(b"bytes"))
    assert "ok" in agent.call("begin", model="m", txn="a" * 32, host="h", ttl_s=5)
    modes = {
        stat.S_IMODE(path.lstat().st_mode) & 0o077
        for path in [tmp_path / "root", *(tmp_path / "root").rglob("*")]
    }
    assert modes == {0}
    survived("roots: any umask of the login")


def test_home_may_be_missing_or_not_writable(start, tmp_path):
    agent = start(tmp_path / "root", before="export HOME=/nonexistent")
    assert agent.greeting["root"] == str(tmp_path / "root")
