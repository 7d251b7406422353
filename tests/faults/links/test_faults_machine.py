"""An emulated machine with its own kernel, journal and network: its power fails, its link loses packets.

All tests share one machine in one worker, so they run one after another.
"""

from __future__ import annotations

import array
import contextlib
import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator

import needs
import pytest

from edgewright.connect.session import Limits
from edgewright.deployments.settlement import settle
from edgewright.errors import Unreachable
from edgewright.lab import processes
from edgewright.lab.emulation.architectures import ARM64, Emulation
from edgewright.wire import commands

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
NARROW = 32768
# Checks what the application relies on, from inside, without the agent.
WHOLE = """
import hashlib, json, os
root = "/home/edge/.edgewright"
link = root + "/models/doubler/current"
folder = os.path.join(os.path.dirname(link), os.readlink(link))
for entry in json.load(open(folder + "/manifest.json"))["files"]:
    data = open(folder + "/" + entry["path"], "rb").read()
    assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry
def good(slot):
    checksum, _, body = open(root + "/state.%d.json" % slot, "rb").read().partition(b"\\n")
    return hashlib.sha256(body).hexdigest().encode() == checksum
assert good(0) and good(1)
for name in os.listdir(root + "/incoming"):
    if len(name) == 64:
        assert hashlib.sha256(open(root + "/incoming/" + name, "rb").read()).hexdigest() == name
print(os.path.basename(folder))
"""
# Both ways: outgoing packets, and incoming ones, which go through a separate queue.
LOSSY = """
set -e
for module in drivers/net/ifb net/sched/cls_matchall net/sched/act_mirred net/sched/sch_ingress; do
    busybox insmod /lib/modules/$(uname -r)/kernel/$module.ko
done
ip link set ifb0 up
tc qdisc add dev eth0 ingress
tc filter add dev eth0 parent ffff: matchall action mirred egress redirect dev ifb0
for device in eth0 ifb0; do
    tc qdisc replace dev $device root netem \
        delay 200ms 50ms loss 5% duplicate 1% reorder 25% 50% rate 256kbit
done
"""
CLEAN = """
for device in eth0 ifb0; do tc -s qdisc show dev $device root; tc qdisc del dev $device root; done
"""


class Machine:
    """The machine: what a user of the board may do, and what only the test may do.

    Args:
        start: starts it, or starts it again.
    """

    def __init__(self, start) -> None:
        self._start = start
        self.again()

    def root(self, script: str, program: str = "sh") -> str:
        """The output of a script that root runs inside."""
        board = self.pi.board
        command = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
        command += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes"]
        command += ["-i", str(self.pi.lab.identity), "-p", str(board.port), "root@127.0.0.1", program, "-"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def kill(self) -> None:
        """Cuts its power."""
        pid = int((self.pi.lab.folder / "server.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        while processes.started(pid):
            time.sleep(0.02)

    def again(self) -> None:
        """Restores its power, and boots it."""
        self.pi = self._start()
        self.pi.limits = Limits(greeting_s=120)  # an emulated machine's Python is slow to start on a busy one

    def release(self) -> str:
        """The release that `current` names; checks every byte of it."""
        return self.root(WHOLE, "python3")


@pytest.fixture(scope="module")
def machine(make_lab) -> Iterator[Machine]:
    """An arm64 machine that poses as a Raspberry Pi 4."""
    needs.tool("qemu-system-aarch64", "qemu-img", "fdtput", "apt-get", "dpkg-deb")
    pi = Emulation(architecture=ARM64, kernel=ARM64.kernel(""))
    return Machine(lambda: make_lab(1, name="vm", profiles=("pi4b",), emulation=pi)[0])


@pytest.mark.exhaustive
def test_a_power_cut_in_an_upload_leaves_a_true_beginning(machine, kit, make_link, survived):
    data, link = os.urandom(2_000_000), make_link(machine.pi.board.port, NARROW)
    with contextlib.suppress(Unreachable), machine.pi.open(port=link.port) as session:
        link.bytes_per_s = 300e3
        threads = []

        def cut(step):
            if step.done > len(data) // 2 and not threads:
                threads.append(threading.Thread(target=machine.kill))
                threads[0].start()

        session.progress = cut
        with pytest.raises(Unreachable):
            session.put(data)
        threads[0].join()
    machine.again()
    with machine.pi.open() as session:
        part = session.call(commands.Part(sha256=kit.sha(data), size=len(data)))
        assert not part.complete and part.prefix_sha256 == kit.sha(data[: part.offset])
        session.put(data)
        assert session.sent_bytes == len(data) - part.offset
    path = f"/home/edge/.edgewright/incoming/{kit.sha(data)}"
    assert machine.root(f"sha256sum < {path}").split()[0] == kit.sha(data)
    survived("machines: the power cut inside an upload")


@pytest.mark.parametrize("moment", [pytest.param("0.7 s into", marks=pytest.mark.exhaustive), "after"])
def test_a_power_cut_at_an_activation_leaves_the_old_release(machine, kit, survived, moment):
    with machine.pi.open() as session:
        status = session.call(commands.Status()).models.get(kit.MODEL)
        old = status.current if status else kit.Deployment(session, kit.artifact("old"), "old").whole()
    session = machine.pi.open()
    one = kit.Deployment(session, kit.artifact(moment), moment.split()[0].replace(" ", "-")).ready()
    if moment == "after":
        assert one.activate(unguarded=True).state == "trial"
        machine.kill()
    else:
        timer = threading.Timer(float(moment.split()[0]), machine.kill)
        timer.start()
        with contextlib.suppress(Unreachable):  # it may be faster than the cut
            one.activate(unguarded=True)
        timer.join()
    with contextlib.suppress(Unreachable):
        session.close()
    machine.again()
    assert settle(machine.pi.open, one.txn) in (
        ("reverted",) if moment == "after" else ("reverted", "unknown")
    )
    assert machine.release() == old
    with machine.pi.open() as session:
        record = session.call(commands.Status()).models[kit.MODEL]
        assert (record.current, record.trial, record.last_good) == (old, None, old)
        now = kit.Deployment(session, kit.artifact(f"next {moment}"), f"next-{moment.split()[0]}").whole()
    assert machine.release() == now
    survived("machines: the power cut at an activation, on a real journal")


def p50(session, model, release) -> float:
    """The median of a benchmark's samples, ms; an emulated machine is given time."""
    protocol = {"rounds": 1, "warmup_s": 0.01, "steady_s": 0.05, "min_samples": 11, "limit_s": 120}
    answer = session.call(commands.Bench(model=model, releases=[release], protocol=protocol))
    raw = session.get(answer.runs[0].samples)
    return statistics.median(array.array("d", raw))


def patient(machine, attempts: int = 3):
    """A session over a link that may lose a login: tries again, as the next command would."""
    for left in reversed(range(attempts)):
        try:
            return machine.pi.open()
        except Unreachable:
            if not left:
                raise


@pytest.mark.exhaustive
def test_a_lossy_link_carries_the_whole_job_and_changes_no_measurement(machine, kit, survived):
    with machine.pi.open() as session:
        first = kit.Deployment(session, kit.artifact("clean"), "clean").ready()
        first.activate(unguarded=True)
        assert first.commit() == "committed"
        first.end()
    machine.root(LOSSY)
    with patient(machine) as session:
        second = kit.Deployment(session, kit.artifact("lossy", more=60_000), "lossy").ready()
        lossy = p50(session, kit.MODEL, second.release)
        second.activate(unguarded=True, deadline_s=120)
        assert second.commit() == "committed"
        second.end()
        txn = "a" * 32
        session.call(commands.Begin(model=kit.MODEL, txn=txn, host="test", ttl_s=60))
        back = session.call(commands.Rollback(model=kit.MODEL, txn=txn, deadline_s=120, unguarded=True))
        assert session.call(commands.Commit(txn=txn)).outcome == "committed"
        assert back.release == first.release
        session.call(commands.End(txn=txn))
    assert lossy < 200, (
        "an inference of microseconds: with a round trip of 400 ms in it, it would take longer"
    )
    said = machine.root(CLEAN).splitlines()
    dropped = [row for row in said if "dropped" in row]
    assert sum("dropped 0" not in row for row in dropped) >= 2, dropped
    assert machine.release() == first.release
    survived(
        "machines: a deployment and a rollback, 5 % of packets lost each way, 200 ms, 256 kbit/s, reordered"
    )
