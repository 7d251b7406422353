"""Several users of one board, each with a real user id: private files stay private, shared files are readable."""

from __future__ import annotations

import grp
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

ONE, TWO = 65501, 65502
GROUP = "video"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as several users")


def as_user(uid, group=None):
    """The start of a command line that runs as a user."""
    groups = f"--groups={grp.getgrnam(group).gr_gid}" if group else "--clear-groups"
    return ("setpriv", f"--reuid={uid}", f"--regid={uid}", groups)


@pytest.fixture
def homes():
    """A folder for each of two users, below one that everyone may enter."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    folder.chmod(0o755)
    for uid in (ONE, TWO):
        (folder / str(uid)).mkdir(mode=0o755)
        os.chown(folder / str(uid), uid, uid)
    yield folder
    shutil.rmtree(folder)


def read(path, uid, group=None):
    """The bytes that a user gets from a file, or None."""
    done = subprocess.run([*as_user(uid, group), "cat", str(path)], capture_output=True)
    return done.stdout if done.returncode == 0 else None


def test_two_users_have_nothing_to_do_with_each_other(homes, start, kit, survived):
    agents = {
        uid: start(homes / str(uid) / "root", command=(*as_user(uid), "/usr/bin/python3"))
        for uid in (ONE, TWO)
    }
    assert len({agent.greeting["board_id"] for agent in agents.values()}) == 2
    assert "ok" in agents[ONE].put(b"secret", kit.sha(b"secret"))
    for number, agent in enumerate(agents.values()):
        assert "ok" in agent.call("begin", model="m", txn=str(number) * 32, host="h", ttl_s=60)
    intruder = start(homes / str(ONE) / "root", command=(*as_user(TWO), "/usr/bin/python3"))
    assert intruder.greeting["error"]["code"] == "root-refused"
    secret = homes / str(ONE) / "root" / "incoming" / kit.sha(b"secret")
    assert read(secret, ONE) == b"secret" and read(secret, TWO) is None
    survived("roots: two users of one board")


def test_a_root_of_another_user_is_refused_even_by_root(homes, start, survived):
    (homes / str(ONE) / "root").mkdir(mode=0o700)
    os.chown(homes / str(ONE) / "root", ONE, ONE)
    agent = start(homes / str(ONE) / "root", command=("/usr/bin/python3",))
    assert "belongs to another user" in agent.greeting["error"]["message"]
    assert list((homes / str(ONE) / "root").iterdir()) == []
    survived("roots: of another user")


def test_a_shared_group_reads_the_models_and_nothing_else(homes, start, kit, survived):
    root, built, wheel = homes / str(ONE) / "root", kit.artifact("shared"), kit.wheel()
    agent = start(root, command=(*as_user(ONE, GROUP), "/usr/bin/python3"), group=GROUP)
    assert "error" not in agent.greeting, agent.greeting
    runner = agent.give_runner()
    for data in (*built.files.values(), built.manifest, wheel):
        assert "ok" in agent.put(data, kit.sha(data))
    row = {"file": "toy-1.0-py3-none-any.whl", "sha256": kit.sha(wheel), "size": len(wheel)}
    ref = agent.call("provision", name="toy", target="tflite", version="1", wheels=[row])["ok"]["ref"]
    txn = "a" * 32
    agent.call("begin", model="m", txn=txn, host="h", ttl_s=60)
    release = agent.call(
        "install",
        model="m",
        version="1",
        manifest=built.sha256,
        runtime=ref,
        hooks={},
        txn=txn,
        runner=runner,
    )["ok"]["release"]
    assert agent.call("verify", model="m", release=release, txn=txn)["ok"]["ok"]
    assert agent.call("activate", model="m", release=release, expected_current=None, txn=txn, deadline_s=60)[
        "ok"
    ]
    assert agent.call("commit", txn=txn)["ok"] == {"outcome": "committed"}
    current = root / "models" / "m" / "current"
    assert json.loads(read(current / "manifest.json", TWO, GROUP)) == json.loads(built.manifest)
    assert read(current / "model.tflite", TWO, GROUP) == built.files["model.tflite"]
    assert read(current / "model.tflite", TWO) is None, "not in the group"
    private = [
        path for path in root.rglob("*") if path.is_file() and "models" not in path.relative_to(root).parts
    ]
    assert len(private) > 5 and all(read(path, TWO, GROUP) is None for path in private)
    write = subprocess.run(
        [*as_user(TWO, GROUP), "sh", "-c", f"echo x >> {current}/model.tflite || echo x > {current}/../x"],
        capture_output=True,
    )
    assert write.returncode != 0
    assert read(current / "model.tflite", TWO, GROUP) == built.files["model.tflite"]
    survived("roots: a shared group")


def test_a_group_that_is_none_of_the_logins_is_refused(homes, start):
    for group in ("video", "no-such-group"):
        agent = start(homes / str(ONE) / "root", command=(*as_user(ONE), "/usr/bin/python3"), group=group)
        assert agent.greeting["error"]["code"] == "root-refused", agent.greeting
