"""Changes of several processes at once are made one after the other: none is lost."""

import subprocess
import sys
from pathlib import Path

from crashing import scene

LOCKING = Path(__file__).with_name("locking.py")


def test_no_change_of_several_processes_is_lost(tmp_path, survived):
    root = tmp_path / "root"
    scene.stop(scene.start(str(root)))
    command = [sys.executable, str(LOCKING), str(root)]
    running = [subprocess.Popen([*command, name, "60"]) for name in "abcd"]
    assert [process.wait(timeout=200) for process in running] == [0] * 4
    outcomes = dict(scene.Agent(str(root), "").store.read()["outcomes"])
    assert set(outcomes) == {"%s %d" % (name, number) for name in "abcd" for number in range(60)}
    survived("Two at once: changes of four processes", 240)
