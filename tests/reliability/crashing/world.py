"""A board in a folder, with clocks, boots and processes that a test decides about.

Sessions and watchdogs are processes by number only: `clock.owner` and `clock.alive` ask this world. Everything else is
the real agent on a real folder.
"""

import contextlib
import os
import shutil
import tempfile
import time

from crashing import images, scene
from crashing.recorder import Recorder

from edgewright_agent import clock
from edgewright_agent.lifecycle import deadline, trial, watchdog
from edgewright_agent.protocol import AgentError

YEARS = 10 * 365 * 24 * 3600.0
REAL = {name: getattr(clock, name) for name in ("now", "boot_id", "owner", "alive", "started")}
WALL = time.time
PUT_BACK = [
    (watchdog, "start", watchdog.start),
    (scene.reserve, "RESERVE_BYTES", scene.reserve.RESERVE_BYTES),
]
PUT_BACK += [
    (scene.root, "problem", scene.root.problem),
    (scene.reboot_guard, "KINDS", scene.reboot_guard.KINDS),
]
PUT_BACK += [(scene.files, "os", os)] + [(clock, name, function) for name, function in REAL.items()]


class PowerCut(BaseException):
    """The board stops at some change of its disk."""


class World:
    """One board.

    Attributes:
        seconds, boot, wall_error: what the clocks say. living: numbers of the processes that run.
    """

    def __init__(self):
        scene.stand_in()
        memory = "/dev/shm"
        self.folder = tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None)
        self.root = self.folder + "/root"
        os.mkdir(self.root, 0o700)
        self.seconds, self.boot, self.wall_error = 100.0, 1, 0.0
        self.living, self.last, self.running = set(), 0, 0
        clock.now = lambda: self.seconds
        clock.boot_id = lambda: "boot %d" % self.boot
        clock.owner = lambda: {"pid": self.running, "started": self.running, "boot_id": clock.boot_id()}
        clock.alive = lambda process: process["boot_id"] == clock.boot_id() and process["pid"] in self.living
        clock.started = lambda pid: pid if pid in self.living or pid == os.getpid() else None
        watchdog.start = self.start_watchdog
        time.time = lambda: WALL() + self.wall_error

    def close(self):
        """Give everything back."""
        time.time = WALL
        for module, name, value in PUT_BACK:
            setattr(module, name, value)
        shutil.rmtree(self.folder)

    def spawn(self):
        """The number of a new process."""
        self.last += 1
        self.living.add(self.last)
        return self.last

    def start_watchdog(self, agent, txn):
        """In place of a detached process: a number that lives until the world ends it."""
        pid = self.spawn()
        return {"pid": pid, "started": pid, "boot_id": clock.boot_id()}

    def start(self):
        """A session: (its number, Commands), recovery done."""
        pid = self.running = self.spawn()
        commands = scene.start(self.root)
        commands.agent.files.session = "%d-%d" % (pid, pid)
        return pid, commands

    def end(self, session):
        """A session ends silently."""
        self.living.discard(session[0])
        scene.stop(session[1])

    def state(self):
        """The state that the newest good slot holds."""
        session = scene.Agent(self.root, "")
        state = session.store.read()
        os.close(session.files.descriptor)
        assert not session.store.problem, session.store.problem
        return state

    def watchdogs(self):
        """What living watchdogs do now: end trials whose time is over."""
        for record in list(self.state()["models"].values()):
            on = record["trial"]
            if on and on["watchdog"] and clock.alive(on["watchdog"]) and clock.left(on["deadline"]) <= 0:
                agent = scene.Agent(self.root, "")
                deadline.restore(agent)
                os.close(agent.files.descriptor)
        on = [record["trial"]["watchdog"] for record in self.state()["models"].values() if record["trial"]]
        return [one for one in on if one and clock.alive(one)]

    def reboot(self):
        """Nothing that ran runs on; the clock starts again at 0."""
        self.boot += 1
        self.seconds = 5.0
        self.living.clear()

    @contextlib.contextmanager
    def copied(self, reboot):
        """Time passes on a copy of the board, which is gone afterwards with all that happened to it."""
        kept = (self.root, self.seconds, self.boot, set(self.living), self.running)
        self.root = shutil.copytree(self.root, self.folder + "/copy/root", symlinks=True)
        self.seconds += YEARS
        if reboot:
            self.reboot()
        try:
            yield
        finally:
            self.root, self.seconds, self.boot, self.living, self.running = kept
            shutil.rmtree(self.folder + "/copy")

    def cut(self, work, step, choose):
        """The power goes at a change of the disk in some work. Returns its result, or PowerCut when it was cut.

        Args:
            choose: picks one of the losses that are possible then.
        """

        def fails(number, kind):
            if number >= step:
                raise PowerCut
            return 0

        recorder = Recorder(self.root, fails)
        scene.record(recorder)
        try:
            return work()
        except PowerCut:
            open_ = images.pending(recorder.journal)[-1]
            lost, zeros = choose(images.losses(open_, recorder.journal, False))
            image = images.Image(recorder.first, recorder.journal, len(recorder.journal), lost, zeros)
            shutil.rmtree(self.root)
            image.write(self.root)
            return PowerCut
        finally:
            scene.record(None)


def asked(work, *arguments):
    """What an agent answers: its result, or the code of its error."""
    try:
        return work(*arguments)
    except AgentError as error:
        return error.code


__all__ = ["REAL", "PowerCut", "World", "asked", "trial"]
