"""The session: a greeting, then commands one after another until the host is gone."""

import os
import select
import signal
import sys
import threading
import time
import traceback

from edgewright_agent import shapes
from edgewright_agent.board import identity
from edgewright_agent.lifecycle.agent import Agent
from edgewright_agent.processes import spawn
from edgewright_agent.protocol import (
    HEARTBEAT_SECONDS,
    SILENCE_SECONDS,
    VERSION,
    AgentError,
    Code,
    decode,
    encode,
)
from edgewright_agent.session import arguments, logbook
from edgewright_agent.session.channel import Channel, Closed
from edgewright_agent.session.commands import Commands, version
from edgewright_agent.storage import integrity, root
from edgewright_agent.storage.failures import failure
from edgewright_agent.storage.reserve import eased
from edgewright_agent.storage.state import CRITICAL

# These restore a release, free room, or report why there is none: a full disk must not stop them.
EASED = [
    "begin",
    "end",
    "verify",
    "rollback",
    "activate",
    "commit",
    "revert",
    "discard",
    "prune",
    "reset",
    "logs",
]
BEGIN = ("rollback", "activate")  # start a trial, which cannot start twice
END_SECONDS = 10  # how long the end waits for a change of the state to finish


def take_descriptors() -> "tuple[int, int]":
    """Move the stream away from descriptors 0 and 1, so that nothing else reads or prints there.
    Returns both."""
    source, sink = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return source, sink


def last_words(text: "object") -> "None":
    """Write to stderr why the agent ends: unbuffered, since buffered text would be lost; and not if no one has
    read stderr for long, since that would block the end."""
    try:
        if select.select([], [2], [], 0)[1]:
            os.write(2, ("edgewright: %s\n" % text)[-4096:].encode("ascii", "backslashreplace"))
    except OSError:
        pass  # the host is gone


class Server(object):
    """One session.

    Args:
        agent: Agent on a prepared root folder.
        source, sink: descriptors of the stream.
        silence_s: as for Channel.

    Attributes:
        words: the host writes lines, at least empty ones, also while a command works; so its silence
            ends that command too.
    """

    def __init__(
        self, agent: "shapes.Agent", source: "int", sink: "int", silence_s: "float" = SILENCE_SECONDS
    ) -> "None":
        self.agent = agent
        self.request = None  # id of the current command
        self.last_word = time.monotonic()
        self.txn = None
        self.over = self.words = False
        self.signalled = 0
        self.channel = Channel(source, sink, self.end_now, silence_s)
        self.commands = Commands(agent, self.event)

    def event(self, message: "shapes.Result") -> "None":
        """Write an event of the current command."""
        self.channel.say(dict(message, id=self.request))
        self.last_word = time.monotonic()

    def start_thread(self, target: "shapes.Callback") -> "None":
        """Run a function in a background thread."""
        thread = threading.Thread(target=target, name=target.__name__)
        thread.daemon = True
        thread.start()

    def beat(self) -> "None":
        """Write heartbeats while a command works; end the agent if no one reads them."""
        while True:
            time.sleep(1)
            if self.signalled:
                self.end_now("ended by signal %d" % self.signalled)
            if self.channel.stuck():
                self.end_now("the host takes no more")
            self.renew()
            request = self.request
            if request is not None and self.words and self.channel.silent():
                self.end_now("the host fell silent while a command worked")
            if request is not None and time.monotonic() - self.last_word >= HEARTBEAT_SECONDS - 1.5:
                try:
                    self.event({"event": "heartbeat"})
                except Closed as reason:
                    self.end_now(reason)

    def renew(self) -> "None":
        """Prolong the session's lease: at every command, and while one works or the host pings."""
        try:
            if self.txn:
                self.commands.renew(self.txn)
        except (AgentError, OSError) as error:
            sys.stderr.write("edgewright: the lease was not prolonged: %s\n" % error)

    def run_pending(self) -> "None":
        """Run the hooks that an earlier session or a watchdog left pending."""
        try:
            self.commands.run_pending()
        except AgentError as error:
            self.agent.files.note("pending hooks: " + error.message)

    def end_soon(self, number: "int", _: "object") -> "None":
        """Handle a signal: it interrupts the thread that may be changing the state, so another thread ends the agent."""
        self.signalled = number

    def end_now(self, why: "object" = "the stream ended while a command worked", code: "int" = 0) -> "None":
        """End the agent while a command works: first its processes, but never in the middle of a change of the state."""
        if why:
            last_words(why)
        whole = CRITICAL.acquire(timeout=END_SECONDS)
        spawn.end_all()
        try:
            if self.txn and whole and not self.over:
                # no one resumes the lease: `outcome` settles a lost acknowledgement
                self.commands.end(self.txn)
            self.agent.files.end()
        except AgentError:
            pass  # the lease will expire
        finally:
            os._exit(code)

    def serve(self) -> "None":
        """Answer requests until the stream ends, is silent for too long, or cannot be parsed."""
        self.start_thread(self.beat)
        self.start_thread(self.run_pending)
        try:
            while not self.over:
                try:
                    line = self.channel.line()
                except AgentError as error:
                    self.channel.say({"id": None, "error": error.wire()})
                    return
                if line or not self.words:
                    self.answer(line)
        except Closed as reason:
            last_words(reason)

    def answer(self, line: "bytes") -> "None":
        """Answer one request."""
        request = {}
        try:
            request = decode(line)
            if set(request) - {"id", "do", "args"} or not isinstance(request.get("id"), int):
                raise AgentError(Code.PROTOCOL, "a request needs `id`, `do` and `args`, and nothing else")
            given = arguments.check(request.get("do"), request.get("args", {}))
        except AgentError as error:
            self.channel.say({"id": request.get("id"), "error": error.wire()})
            return
        self.request, self.last_word, self.channel.working = request["id"], time.monotonic(), True
        if self.channel.ended and not self.channel.pieces and request["do"] != "put":
            self.end_now()
        reply = self.work(request["do"], given)
        self.channel.working, self.request = False, None
        self.channel.say(dict(reply, id=request["id"]))

    def work(self, do: "str", given: "shapes.Arguments") -> "shapes.Result":
        """Run a command, and log it. Returns `{"ok": ...}` or `{"error": ...}`."""
        try:
            result = self.run(do, given)
        except Closed:
            raise
        except AgentError as error:
            failed = error
        except OSError as error:
            failed = failure(error, error.filename or do, self.agent.files.root)
        except Exception as error:
            traceback.print_exc()
            what = "the agent failed in %s: %s: %s" % (do, type(error).__name__, error)
            failed = AgentError(Code.IO, what, cause="internal")
        else:
            if not self.over:  # after a purge there is no log
                self.note(logbook.done(do, given, result))
            return {"ok": result}
        self.note(logbook.refused(do, given, failed))
        return {"error": failed.wire()}

    def run(self, do: "str", given: "shapes.Arguments") -> "shapes.Result":
        """Run a command. Returns its result."""
        self.txn = given.get("txn") or self.txn
        self.renew()
        work = getattr(self if do in ("put", "get") else self.commands, do)
        try:
            result: "shapes.Result" = work(**given)
        except AgentError as error:
            if error.code != Code.DISK_FULL or do not in EASED:
                raise
            with eased(self.agent.files):
                if do in BEGIN and self.commands.outcome(given["txn"])["outcome"] != "unknown":
                    raise
                result = work(**given)
        self.over = self.over or do == "purge"
        return result

    def note(self, line: "str") -> "None":
        """Write a line to the log, if there is one."""
        if line:
            self.agent.files.note(line)

    def put(self, sha256: "str", size: "int", offset: "int") -> "shapes.Result":
        """Receive a file's bytes. In any case, it reads exactly the announced bytes."""
        if offset > size:
            self.over = True
            raise AgentError(Code.BAD_ARGUMENT, "offset beyond size: %d of %d" % (offset, size))
        self.channel.working = False  # the host may close the stream after the bytes
        pieces = self.channel.raw(size - offset)
        try:
            self.agent.incoming.put(sha256, size, offset, pieces)
        finally:
            self.channel.skip(pieces)
        return {}

    def get(self, result: "str") -> "shapes.Result":
        """Send a result's bytes."""
        path = self.agent.files.result_path(result)
        if path is None:
            raise AgentError(Code.NOT_FOUND, "no such result in this session: %s" % result)
        size = os.path.getsize(path)
        event = {"id": self.request, "event": "bytes", "size": size, "sha256": integrity.sha256_of(path)}
        self.channel.send(event, path, size)
        return {}


def greet(
    hello: "shapes.Hello", data: "bytes", runners: "dict[str, bytes] | None" = None
) -> "tuple[Agent, shapes.Result]":
    """Set up the root folder and recover. Returns (Agent, greeting).

    Raises:
        AgentError: `root-refused`, `io`, `disk-full`, `busy`.
    """
    path = root.prepare(str(hello.get("root") or ""))
    agent = Agent(path, str(hello["agent"]["sha256"]), runners=runners)
    if "runtimes" in hello:
        agent.runtime_names = tuple(map(str, hello["runtimes"] or ()))
    board_id = root.furnish(agent.files)
    with agent.files.confined("/group"):
        root.open_to(agent.files, hello.get("group"))
    with agent.files.confined("/agent"):
        agent.keep(data)
    recovered = Commands(agent, lambda _: None).recover()
    own = identity.read(path)
    greeting: "shapes.Result" = {
        "edgewright": VERSION,
        "nonce": hello.get("nonce"),
        "agent": version(),
        "sha256": agent.sha256,
        "python": sys.version.split()[0],
        "root": path,
        "board_id": board_id,
        "serial": own["serial"],
        "simulated": own["simulated"],
        "recovered": recovered,
        "runners": agent.runners.listing(),
        "forced": agent.runners.forced,
    }
    return agent, greeting


def main(hello: "shapes.Hello", data: "bytes", runners: "dict[str, bytes] | None" = None) -> "None":
    """Serve one session.

    Args:
        hello: the host's hello.
        data: bytes of the agent's own .pyz.
        runners: {target: bytes} of the administrator's runners, with a forced command.
    """
    source, sink = take_descriptors()
    try:
        agent, greeting = greet(hello, data, runners)
    except (AgentError, OSError) as error:
        known = error if isinstance(error, AgentError) else failure(error, str(hello.get("root")))
        os.write(sink, encode({"edgewright": VERSION, "nonce": hello.get("nonce"), "error": known.wire()}))
        sys.exit(1)
    server = Server(agent, source, sink)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, server.end_soon)
    ping_s = hello.get("ping_s")
    server.words = isinstance(ping_s, (int, float)) and 0 < ping_s <= SILENCE_SECONDS / 2
    try:
        server.channel.say(greeting)
        server.serve()
    except Closed as reason:
        last_words(reason)
    except Exception:
        server.end_now(traceback.format_exc(), 1)
    finally:
        server.end_now("")
