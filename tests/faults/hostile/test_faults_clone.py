"""Boards whose identity changed: copied cards, moved cards, other keys; each is refused before anything happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time

import pytest

from edgewright.config import trust as trust_file
from edgewright.errors import TrustError
from edgewright.nouns.board import Pin, TrustFile


def copy_card(source, target):
    """Makes one board a copy of another: host key and root folder, but not the hardware's serial."""
    for name in ("host_key", "host_key.pub"):
        if (source.lab.folder / name).exists():
            shutil.copy(source.lab.folder / name, target.lab.folder / name)
    facts = (target.root / "facts.json").read_bytes()
    shutil.rmtree(target.root)
    shutil.copytree(source.root, target.root, symlinks=True)
    (target.root / "facts.json").write_bytes(facts)
    log = target.lab.folder / "server.log"
    log.write_text("")
    os.kill(int((target.lab.folder / "server.pid").read_text()), signal.SIGHUP)
    while "Server listening" not in log.read_text():
        time.sleep(0.02)


def pin_as(board, other):
    """Pins another board's host key for a board, as `fleet trust` would."""
    trust = trust_file.load(board.fleet)
    pins = {**trust.boards, board.board.name: Pin(host_key=trust.boards[other.board.name].host_key)}
    trust_file.save(board.fleet, TrustFile(boards=pins, hosts=trust.hosts))


@pytest.mark.parametrize("serial", ["another", "the same", "unknown"])
def test_a_cloned_board_is_refused(make_lab, kit, survived, serial):
    one, two = make_lab(2, name=f"clone-{serial.replace(' ', '')}")
    release = one.deploy("a")
    with pytest.raises(TrustError) as caught:
        copy_card(one, two)
        two.open()
    assert caught.value.code == "host-key-changed"
    pin_as(two, one)
    told = {
        "another": {"serial": "f" * 16},
        "the same": json.loads((one.root / "facts.json").read_text()),
        "unknown": {"serial": ""},
    }
    (two.root / "facts.json").write_text(json.dumps(told[serial]))
    before = sorted(path.name for path in two.root.rglob("*"))
    with pytest.raises(TrustError) as caught:
        two.open()
    assert caught.value.code == ("board-cloned" if serial == "another" else "board-duplicate")
    assert one.board.name in caught.value.message and two.board.name in caught.value.message
    kit.wait_until(lambda: not two.agents())
    assert one.current == two.current == release
    assert set(before) - {"results"} <= {path.name for path in two.root.rglob("*")}
    survived("trust: a cloned board, its serial another, the same or unknown")


def test_a_card_moved_to_other_hardware_is_refused(make_lab, survived):
    (one,) = make_lab(1, name="moved")
    one.deploy("a")
    (one.root / "facts.json").write_text(json.dumps({"serial": "e" * 16}))
    with pytest.raises(TrustError) as caught:
        one.open()
    assert caught.value.code == "board-replaced" and "trust" in caught.value.hint
    survived("trust: a card moved to other hardware")
