"""Two hosts, one board: any order of commands, lost answers, passing time, reboots and power cuts.

Of the properties of the board: 1 (`current` is old or new, whole), 2 (uncommitted does not survive), 3 (commit and
revert linearise), 4 (recovery, cut short itself), 6 (prune) and 8 (nothing outside the root) are looked at after each
step, on the real agent and a real folder. 5 is in test_reliability_full_disk, 9 in the tests of hostile links.
"""

import os
import shutil

import pytest
from crashing import scene
from crashing.world import YEARS, PowerCut, World, asked
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

HOSTS = st.sampled_from("AB")
TAGS = st.sampled_from("abcd")
SECONDS = st.sampled_from([1.0, 10.0, 45.0, 400.0])
LEASE = 60.0
CHANGES = {
    "install": 60,
    "activate": 25,
    "commit": 6,
    "revert": 9,
    "prune": 30,
    "end": 6,
}  # about as many has each


def folder_for_current(root):
    if os.path.lexists(root + "/models/m/current"):
        os.unlink(root + "/models/m/current")
    os.mkdir(root + "/models/m/current")


def file_for_a_folder(root):
    shutil.rmtree(root + "/results")
    with open(root + "/results", "w") as file:
        file.write("mine")


def pipe_in_a_folder(root):
    os.mkfifo(root + "/hooks/pipe")


def pipe_for_a_guard(root):
    os.mkfifo(root + "/guard.json")


DAMAGE = {
    "current is a folder": folder_for_current,
    "results is a file": file_for_a_folder,
    "a pipe among hooks": pipe_in_a_folder,
    "a pipe for the guard": pipe_for_a_guard,
}


class Board(RuleBasedStateMachine):
    """What was reported to the hosts is kept here, and compared with the board."""

    def __init__(self):
        super().__init__()
        self.world = World()
        self.sessions, self.txns, self.seen = {}, {}, {}
        self.lease = None  # (txn, boot, end)
        self.good, self.known = None, []  # last committed release, known-good ones
        self.trial = None  # (txn, from, to, boot, end)
        self.settled = {}  # txn: outcome that was reported to someone

    def teardown(self):
        for session in self.sessions.values():
            self.world.end(session)
        self.world.close()

    # -- what the model says ------------------------------------------------------------------------

    def held(self, txn=None):
        """Whether a lease lives, and is this transaction's."""
        alive = self.lease and self.lease[1] == self.world.boot and self.world.seconds < self.lease[2]
        return bool(alive) and txn in (None, self.lease[0])

    def renew(self, host):
        """Every command of a transaction prolongs its lease when that is half over; `require` always does."""
        if self.held(self.txns.get(host)):
            self.lease = (self.lease[0], self.world.boot, self.world.seconds + LEASE)

    def on_time(self):
        return self.trial[3] == self.world.boot and self.world.seconds < self.trial[4]

    def reverted(self):
        """The trial is over, uncommitted."""
        if self.trial:
            self.tell(self.trial[0], "reverted")
            self.trial = None

    def tell(self, txn, outcome):
        """An outcome that was reported never changes."""
        assert self.settled.setdefault(txn, outcome) == outcome, "commit and revert do not linearise"

    def commit_known(self):
        """The model of a commit."""
        txn, _, release = self.trial[:3]
        self.tell(txn, "committed")
        known = self.known
        self.known = known[: known.index(release) + 1] if release in known else [*known, release]
        self.good, self.trial = release, None

    # -- sessions, time, reboots -----------------------------------------------------------------------

    def session(self, host):
        """The host's commands; opens a session if there is none, which ends overdue trials."""
        if host not in self.sessions:
            self.sessions[host] = self.world.start()
            if self.trial and not self.on_time():
                self.reverted()
        self.world.running = self.sessions[host][0]
        return self.sessions[host][1]

    @rule(host=HOSTS)
    def link_breaks(self, host):
        if host in self.sessions:
            self.world.end(self.sessions.pop(host))

    @rule(seconds=SECONDS)
    def time_passes(self, seconds):
        self.world.seconds += seconds
        self.watchdog_polls()

    @rule(years=st.sampled_from([-YEARS, 0.0, YEARS]))
    def wall_clock_is_set(self, years):
        self.world.wall_error = years

    def watchdog_polls(self):
        if self.world.watchdogs():
            return
        if self.trial and self.world.state()["models"]["m"]["trial"] is None:
            assert not self.on_time(), "a watchdog reverted before the deadline"
            self.reverted()

    @rule()
    def session_manager_kills_watchdogs(self):
        self.world.living &= {session[0] for session in self.sessions.values()}

    @rule()
    def reboots(self):
        for host in list(self.sessions):
            self.link_breaks(host)
        self.world.reboot()

    # -- commands --------------------------------------------------------------------------------------

    @rule(host=HOSTS)
    def begins(self, host):
        commands, txn = self.session(host), scene.uuid.uuid4().hex
        answer = asked(commands.begin, "m", txn, host, LEASE)
        if self.held():
            assert answer == "busy"
            return
        assert answer == {}
        self.lease = (txn, self.world.boot, self.world.seconds + LEASE)
        self.txns[host], self.seen[host] = txn, scene.current(commands)

    @precondition(lambda self: self.txns)
    @rule(host=HOSTS, tag=TAGS)
    def installs(self, host, tag):
        commands, txn = self.session(host), self.txns.get(host, "")
        answer = asked(scene.install, commands, tag, txn)
        if self.held(txn):
            assert not isinstance(answer, str) or answer.startswith(tag + "-"), answer
            self.renew(host)
        else:
            assert answer == "busy"

    @precondition(lambda self: self.txns)
    @rule(host=HOSTS, tag=TAGS)
    def answers_less_exactly(self, host, tag):
        """Such a release is not activated, and nothing is held against it: it is installed again as it was."""
        self.installs(host, tag)
        commands, release = self.session(host), self.release(tag)
        before = self.world.state()["models"].get("m", {"releases": {}})
        if host not in self.txns or release not in before["releases"]:
            return
        commands.judge("m", release, "low", "too much noise")
        after = self.world.state()["models"]["m"]
        stays = release == before["current"] or before["releases"][release]["state"] == "committed"
        wanted = before["releases"][release]["state"] if stays else "failed"
        assert after["releases"][release]["state"] == wanted and after["failed"] == before["failed"]
        if not stays:
            assert isinstance(
                asked(commands.activate, "m", release, self.seen.get(host), self.txns[host], 30.0, False), str
            )
            self.renew(host)
            self.installs(host, tag)

    @precondition(lambda self: self.txns)
    @rule(host=HOSTS, tag=TAGS, seconds=st.sampled_from([30.0, 300.0]))
    def activates(self, host, tag, seconds):
        commands, txn = self.session(host), self.txns.get(host, "")
        release = self.release(tag)
        answer = asked(commands.activate, "m", release, self.seen.get(host), txn, seconds, False)
        self.activated(host, release, seconds, answer)

    def release(self, tag):
        manifest, _ = scene.artifact(tag)
        return "%s-%s" % (tag, scene.sha(manifest)[:8])

    def activated(self, host, release, seconds, answer):
        """Compare-and-swap, one trial at a time, with the lease only."""
        txn, current = self.txns.get(host, ""), self.trial[2] if self.trial else self.good
        if not self.held(txn):
            assert answer in ("busy", "not-found"), answer
        elif isinstance(answer, dict):
            assert self.trial is None, "two trials"
            assert self.seen[host] == current, "the compare-and-swap does not compare"
            assert txn not in self.settled, "a settled transaction began again"
            self.trial = (txn, current, release, self.world.boot, self.world.seconds + seconds)
            self.renew(host)
        else:
            refusable = self.trial or self.seen.get(host) != current or release == current
            missing = release not in self.world.state()["models"].get("m", {"releases": ()})["releases"]
            assert refusable or missing or txn in self.settled or answer == "bad-argument", answer

    @precondition(lambda self: self.txns)
    @rule(host=HOSTS, whose=HOSTS, heard=st.booleans())
    def commits(self, host, whose, heard):
        txn = self.txns.get(whose, "")
        answer = asked(self.session(host).commit, txn)
        if self.trial and self.trial[0] == txn:
            assert answer == {"outcome": "committed" if self.on_time() else "reverted"}
            self.commit_known() if self.on_time() else self.reverted()
        else:
            assert answer == ({"outcome": self.settled[txn]} if txn in self.settled else "not-found")
        if not heard:  # the acknowledgement is lost with the link, and asked for again
            self.link_breaks(host)
            self.asks(host, whose)

    @precondition(lambda self: self.txns)
    @rule(host=HOSTS, whose=HOSTS)
    def reverts(self, host, whose):
        txn = self.txns.get(whose, "")
        answer = asked(self.session(host).revert, txn, "too slow")
        if self.trial and self.trial[0] == txn:
            assert answer == {"outcome": "reverted"}
            self.reverted()
        else:
            assert answer == ({"outcome": self.settled[txn]} if txn in self.settled else "not-found")

    @precondition(lambda self: self.txns)
    @rule(host=HOSTS, whose=HOSTS)
    def asks(self, host, whose):
        txn = self.txns.get(whose, "")
        told = self.session(host).outcome(txn)["outcome"]
        on_trial = self.trial and self.trial[0] == txn
        assert told == ("trial" if on_trial else self.settled.get(txn, "unknown"))

    @rule(host=HOSTS, tag=TAGS)
    def puts_on_trial(self, host, tag):
        self.begins(host)
        self.installs(host, tag)
        self.activates(host, tag, 30.0)

    @rule(host=HOSTS, tag=TAGS)
    def deploys(self, host, tag):
        self.puts_on_trial(host, tag)
        if host in self.txns:
            self.commits(host, host, True)
            if self.held(self.txns[host]):
                assert self.session(host).end(self.txns[host]) == {}
                self.lease = None

    @rule(host=HOSTS, tag=TAGS, seconds=SECONDS, kill=st.booleans())
    def commits_late(self, host, tag, seconds, kill):
        self.puts_on_trial(host, tag)
        if kill:
            self.session_manager_kills_watchdogs()
        self.time_passes(seconds)
        if host in self.txns:
            self.commits(host, host, True)

    @rule(host=HOSTS, tag=TAGS, keep=st.integers(0, 1))
    def prunes_in_a_trial(self, host, tag, keep):
        self.puts_on_trial(host, tag)
        if host in self.txns and self.held(self.txns[host]):
            assert self.session(host).end(self.txns[host]) == {}
            self.lease = None
        self.prunes(host, keep)

    @precondition(lambda self: len(self.known) > 1)
    @rule(host=HOSTS)
    def rolls_back(self, host):
        commands = self.session(host)
        if self.trial or self.good not in self.known[1:]:
            return
        release, current = commands.trials.target_of_rollback("m", None)
        assert release == self.known[self.known.index(self.good) - 1] and current == self.good
        answer = asked(commands.activate, "m", release, current, self.txns.get(host, ""), 30.0, False)
        self.seen[host] = current
        self.activated(host, release, 30.0, answer)

    @rule(host=HOSTS, keep=st.integers(0, 2))
    def prunes(self, host, keep):
        commands = self.session(host)
        before = self.world.state()["models"].get("m", {"releases": {}})["releases"]
        assert isinstance(asked(scene.prune, commands, keep), dict)
        left = set(self.world.state()["models"].get("m", {"releases": {}})["releases"])
        recent = self.known[len(self.known) - keep :] if keep else []
        own = {name for name in before if self.held() and before[name]["txn"] == self.lease[0]}
        needed = {self.good, *(self.trial[1:3] if self.trial else ()), *recent} - {None}
        assert needed | own == left | own, "prune removed too much, or too little"
        assert needed <= left
        self.known = [one for one in self.known if one in left]

    @rule(host=HOSTS, what=st.sampled_from(sorted(CHANGES)), tag=TAGS, data=st.data())
    def power_goes(self, host, what, tag, data):
        """The board stops in the middle of a command, comes up again, and is cut once more while it recovers."""
        self.begins(host)
        if what in ("activate", "commit", "revert"):
            self.installs(host, tag)
        if what in ("commit", "revert"):
            self.activates(host, tag, 30.0)
        step = data.draw(st.integers(1, CHANGES[what]))
        commands, txn = self.session(host), self.txns.get(host, "")
        works = {
            "install": lambda: scene.install(commands, tag, txn),
            "activate": lambda: commands.activate(
                "m", self.release(tag), self.seen.get(host), txn, 30.0, False
            ),
            "commit": lambda: commands.commit(txn),
            "revert": lambda: commands.revert(txn, "too slow"),
            "prune": lambda: scene.prune(commands, 1),
            "end": lambda: commands.end(txn),
        }

        def choose(found):
            return data.draw(st.sampled_from(found))

        answer = asked(self.world.cut, works[what], step, choose)
        self.reboots()
        again = data.draw(st.integers(0, 30))
        if again:
            asked(self.world.cut, lambda: self.world.end(self.world.start()), again, choose)
            self.world.reboot()
        self.world.end(self.world.start())
        self.agree(txn, what, answer)

    # -- damage ------------------------------------------------------------------------------------------

    @precondition(lambda self: self.known)
    @rule(host=HOSTS, how=st.sampled_from(sorted(DAMAGE)))
    def somebody_damages_the_board(self, host, how):
        """On a copy of the board: a session starts all the same, says what it found, and a repair puts it right."""
        with self.world.copied(reboot=False):
            damaged_and_repaired(self.world, how)

    # -- a way out of every state ------------------------------------------------------------------------

    @precondition(lambda self: self.known)
    @rule(forget=st.booleans())
    def known_good_releases_come_back(self, forget):
        """Liveness: on a copy of the board as it is now, after a reboot or the end of the trial and the lease."""
        with self.world.copied(reboot=forget):
            self.come_back()

    def come_back(self):
        session = self.world.start()
        self.world.running, commands = session
        for release in commands.status()["models"]["m"]["known_good"]:
            for roll_back in (
                True,
                False,
                True,
            ):  # the second and third trial follow one that nobody committed
                if release != commands.status()["models"]["m"]["current"]:
                    self.goes_on_trial(commands, release, roll_back)
                    self.world.seconds += 2 * LEASE
                    commands.recover()
        self.world.end(session)

    def goes_on_trial(self, commands, release, roll_back):
        """A release goes on trial in one of the two ways, and stays known good while nobody commits it."""
        txn, current = scene.begin(commands), scene.current(commands)
        if roll_back:
            assert commands.trials.target_of_rollback("m", release) == (release, current)
            commands.judge("m", release, "", "")  # what the verification of a rollback notes
        else:
            scene.damage(commands, release)
            assert scene.install(commands, release[0], txn) == release
        answer = commands.activate("m", release, current, txn, 30.0, False)
        assert answer["state"] == commands.status()["models"]["m"]["releases"][release]["state"] == "trial"
        assert scene.current(commands) == release
        commands.end(txn)

    def agree(self, txn, what, answer):
        """After a cut the model takes the board's side, where the board had the choice."""
        record = self.world.state()["models"].get("m")
        if record is None:
            assert self.good is None and not self.known
            return
        mine = self.trial and self.trial[0] == txn
        if what == "commit" and mine and record["last_good"] == self.trial[2]:
            self.commit_known()
        elif what == "commit" and mine:
            assert answer is PowerCut or answer == {"outcome": "reverted"}, "an acknowledged commit is lost"
        self.reverted()
        if what == "activate" and dict(record_outcomes(self.world)).get(txn) == "reverted":
            self.tell(txn, "reverted")
        if what == "prune":
            self.known = [one for one in self.known if one in record["known_good"]]

    # -- what always holds -----------------------------------------------------------------------------

    @invariant()
    def the_board_is_whole(self):
        state = self.world.state()
        record = state["models"].get("m")
        assert os.listdir(self.world.folder) == ["root"], "something was written beside the root"
        if record is None:
            return
        probe = scene.Commands(scene.Agent(self.world.root, ""), None)
        current = scene.current(probe)
        scene.stop(probe)
        assert record["last_good"] == self.good, "last good changed without a commit"
        assert record["known_good"] == self.known
        assert current == record["current"]
        assert current in (self.good, self.trial[2] if self.trial else None) or current is None is self.good
        if self.trial is None:
            assert current == self.good and record["trial"] is None, "an uncommitted release is current"
        for txn, outcome in self.settled.items():
            assert dict(state["outcomes"]).get(txn) == outcome, "an outcome was forgotten"


def damaged_and_repaired(world, how, other=None):
    """A session after a damage, a repair (planned, then done), and the board as the state says.

    Args:
        other: deployed as another model while the damage is there.
    """
    good = world.state()["models"]["m"]["known_good"]
    DAMAGE[how](world.root)
    session = world.start()
    commands = session[1]
    assert isinstance(commands.prune(1000, True), dict) and commands.facts()
    if other:
        assert scene.deploy(commands, other, model="n") == scene.current(commands, "n")
    planned = commands.repair(True)
    done = commands.repair(False)
    assert planned["done"] == done["done"] != [] and done["left"] == [], (how, planned, done)
    moved = [line for line in done["done"] if "moved to" in line]
    assert len(moved) == len(os.listdir(world.root + "/aside")) == 1, done
    assert commands.status(files=True)["damage"] == [] and commands.repair(False) == {"done": [], "left": []}
    record = world.state()["models"]["m"]
    assert scene.current(commands) == record["current"] and record["known_good"] == good
    world.end(session)


@pytest.mark.parametrize("how", sorted(DAMAGE))
def test_damage_to_another_model_stops_nothing(how, survived):
    world = World()
    try:
        session = world.start()
        for tag in "ab":
            scene.deploy(session[1], tag)
        scene.deploy(session[1], "a", model="n")
        world.end(session)
        damaged_and_repaired(world, how, "b")
    finally:
        world.close()
    survived("State machine: damage by hand, repaired")


def record_outcomes(world):
    return world.state()["outcomes"]


def machine(examples, steps, derandomize):
    health = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    case = Board.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=derandomize,
        deadline=None,
        suppress_health_check=health,
        database=None,
        phases=[Phase.generate] if os.environ.get("EDGEWRIGHT_TEST_MUTATED") else list(Phase),
    )
    case().runTest()


def test_two_hosts_and_a_board_that_dies(survived):
    machine(60, 30, derandomize=True)
    survived("State machine: 30 steps of two hosts, reboots and power cuts", 60)


@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
def test_two_hosts_and_a_board_that_dies_at_length(survived):
    machine(500, 60, derandomize=False)
    survived("State machine: 60 random steps of two hosts, reboots and power cuts", 500)
