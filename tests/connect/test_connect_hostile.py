"""Boards that break the rules: real processes that greet correctly and then misbehave."""

from __future__ import annotations

import io
import sys
import time
from types import SimpleNamespace

import pytest

from edgewright.connect.session import Limits, start_session
from edgewright.connect.transfer import sender
from edgewright.deployments import transaction
from edgewright.deployments.board_record import Trace
from edgewright.deployments.outcomes import kind_of
from edgewright.errors import BoardError, ProtocolError, TooLate, Unreachable
from edgewright.nouns.board import Board
from edgewright.nouns.outcome import UNKNOWN
from edgewright.wire import commands, local_machine
from edgewright.wire.answers import Event
from edgewright.wire.request import Request

PUT = commands.Put(sha256="0" * 64, size=10**6, offset=0)
START = """
import json, sys, time
hello = json.loads(sys.stdin.readline())
say = lambda **message: print(json.dumps(message), flush=True)
say(edgewright=1, nonce=hello["nonce"], agent="9", sha256="", python="3", root="/x", board_id="b")
request = lambda: json.loads(sys.stdin.readline() or "{}")
"""

DEEP = '{"error": ' + "[" * 900 + "]" * 900 + "}"  # JSON can be read to this depth, but not walked


class Scripted(local_machine.LocalTransport):
    """A board that runs a script instead of any command."""

    def __init__(self, script):
        super().__init__()
        self.script = script

    def run(self, command):
        return super().run(f"exec {sys.executable} {self.script}")


@pytest.fixture
def open_script(tmp_path):
    """Opens a session with a board that greets and then runs this text."""
    opened = []

    def start(text, begin=START, **limits):
        script = tmp_path / "board.py"
        script.write_text(begin + text)
        transport = Scripted(script)
        try:
            session = start_session(Board(name="evil", address="local:"), transport, limits=Limits(**limits))
        except BaseException:
            transport.close()
            raise
        opened.append(session)
        return session

    yield start
    for session in opened:
        session.close()


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("request(); say(id=99, ok={})", ProtocolError, "another request"),
        ("request(); say(id=1)", ProtocolError, "neither event"),
        ("request(); say(id=1, ok=[])", ProtocolError, "neither event"),
        ("request(); say(id=1, event=7)", ProtocolError, "neither event"),
        ("request(); print('[' * 100000, flush=True)", ProtocolError, "nested too deeply"),
        (f"request(); print({DEEP!r}, flush=True)", ProtocolError, "nested too deeply"),
        ("request(); print('[1]', flush=True)", ProtocolError, "not a JSON object"),
        ("request(); print('\\x00\\xff', flush=True)", ProtocolError, "not a JSON object"),
        ("request(); say(id=1, event='bytes', size=3); print('abc')", ProtocolError, "nobody asked"),
        (
            "request(); sys.stdout.write('x' * 3000000); sys.stdout.flush(); time.sleep(9)",
            ProtocolError,
            "longer",
        ),
        ("request(); say(id=1, error=None)", BoardError, "without a message"),
        ("request(); say(id=None, error={'code': 'protocol', 'message': 'what?'})", BoardError, "what"),
        ("request(); sys.exit(3)", Unreachable, "ended during status"),
        ("request(); sys.stderr.write('out of memory\\n'); sys.exit(3)", Unreachable, "out of memory"),
    ],
)
def test_what_breaks_the_protocol_is_an_error(open_script, text, kind, words):
    session = open_script(text)
    with pytest.raises(kind, match=words):
        session.call(commands.Status())


@pytest.mark.parametrize("depth", [900, 100000 // 4])
def test_a_greeting_that_is_nested_too_deeply_breaks_the_protocol(open_script, depth):
    begin = START.replace('root="/x"', 'root="deep"').replace(
        "print(json.dumps(message)", "print(json.dumps(message).replace('\"deep\"', DEEP)"
    )
    with pytest.raises(ProtocolError, match="nested too deeply"):
        open_script("", begin=f"DEEP = '[' * {depth} + ']' * {depth}\n" + begin)


def test_control_characters_are_removed(open_script):
    text = "request(); say(id=1, error={'code': 'novel', 'message': '\\x1b[2Jred\\u202e\\x07', 'hint': 'a\\x9bb'})"
    with pytest.raises(BoardError) as caught:
        open_script(text).call(commands.Status())
    assert (caught.value.message, caught.value.hint, caught.value.code) == ("[2Jred", "ab", "novel")


def test_control_characters_in_answers_and_log_are_removed(open_script):
    text = "sys.stderr.write('\\x1b[31mlog\\n'); sys.stderr.flush(); request()\n"
    text += "say(id=1, ok={'models': {'\\x07k': {}}, 'lease': None, 'problem': '\\x1b]0;'})"
    session = open_script(text)
    status = session.call(commands.Status())
    assert (list(status.models), status.problem) == (["k"], "]0;")
    until = time.monotonic() + 30  # it comes on a separate channel
    while not session.log_tail() and time.monotonic() < until:
        time.sleep(0.01)
    assert session.log_tail() == "[31mlog"


def test_endless_heartbeats_end_at_the_limit(open_script):
    session = open_script("request()\nwhile True: say(id=1, event='heartbeat'); time.sleep(0.01)")
    began = time.monotonic()
    with pytest.raises(BoardError) as caught:
        session.call(commands.Status(), timeout_s=1)
    assert caught.value.code == "timeout" and time.monotonic() - began < 60
    with pytest.raises(BoardError):
        session.call(commands.Status())


def test_an_upload_that_only_trickles_ends_at_its_deadline(open_script):
    """The board is never silent for long enough to be noticed."""
    session = open_script("import os\nwhile os.read(0, 1): time.sleep(0.0005)", silence_s=5)
    began = time.monotonic()
    with pytest.raises(BoardError) as caught:
        session.exchange_all(
            [Request(PUT, sender(io.BytesIO(bytes(10**6)), 0, 10**6, lambda _: None))], timeout_s=1
        )
    assert caught.value.code == "timeout" and time.monotonic() - began < 60


def test_no_more_files_are_sent_once_one_was_refused(open_script, tmp_path):
    said = tmp_path / "said"
    session = open_script(
        "request(); say(id=1, error={'code': 'disk-full', 'message': 'full'})\n"
        f"sys.stdin.readline(); open({str(said)!r}, 'w').close()\n"
        "print(json.dumps({'id': request()['id'], 'ok': {}}), flush=True)"
    )
    sent = []

    def body(channel, silence_s, deadline):
        sent.append(len(sent))
        channel.send(b"bytes\n", silence_s, deadline)
        while not said.exists() and time.monotonic() < deadline:
            time.sleep(0.01)

    with pytest.raises(BoardError) as caught:
        session.exchange_all([Request(PUT, body) for _ in range(3)], timeout_s=60)
    assert caught.value.code == "disk-full" and sent == [0]
    session.call(commands.Ping())  # the session goes on


def test_heartbeats_keep_a_slow_command_alive(open_script):
    text = "request()\nfor _ in range(10): say(id=1, event='heartbeat'); time.sleep(0.25)\n"
    text += "say(id=1, ok={'outcome': 'committed'})"
    session = open_script(text, silence_s=2)
    assert session.call(commands.Commit(txn="0" * 32)).outcome == "committed"


def test_events_reach_the_caller(open_script):
    text = "request(); say(id=1, event='progress', what='x', done=1, total=2); say(id=1, ok={})"
    events = []
    open_script(text).call(commands.Ping(), on_event=events.append)
    assert events == [Event(event="progress", what="x", done=1, total=2)]


@pytest.mark.parametrize(
    ("result", "text", "words"),
    [
        ({}, "size=4); print('abcd'", "4 bytes of a result of 3"),
        ({}, "size=3); print('abc'", "not those"),
        ({"size": 2**40}, "size=3); print('abc'", "names a result of 1099511627776 bytes, at most 1048576"),
        ({"size": -1}, "size=3); print('abc'", "log.size"),
        ({"sha256": "zz"}, "size=3); print('abc'", "log.sha256"),
        ({"result": 5}, "size=3); print('abc'", "log.result"),
    ],
)
def test_results_that_are_not_what_was_named(open_script, result, text, words, tmp_path):
    named = {"result": "r", "sha256": "0" * 64, "size": 3, **result}
    session = open_script(
        f"request(); say(id=1, ok={{'log': {named!r}}})\n"
        f"request(); say(id=2, event='bytes', {text}, end=''); say(id=2, ok={{}})"
    )
    with pytest.raises(ProtocolError, match=words):
        session.get(session.call(commands.Logs(lines=1)).log, tmp_path / "result")
    assert not (tmp_path / "result").exists()
    assert not list(tmp_path.glob(".result*"))


def test_lying_part_is_not_believed(open_script):
    text = """
request(); say(id=1, ok={'complete': False, 'offset': 5, 'prefix_sha256': '0' * 64})
asked = request()
sys.stdin.read(10)
say(id=2, ok={})
request(); say(id=3, ok={'outcome': str(asked['args']['offset'])})
"""
    session = open_script(text)
    session.put(b"\n" * 10)
    assert session.call(commands.Commit(txn="0" * 32)).outcome == "0"


def test_idle_session_pings(open_script):
    text = """
count = 0
while True:
    asked = request() or sys.exit()
    count += asked["do"] == "ping"
    say(id=asked["id"], ok={"outcome": str(count)})
"""
    session = open_script(text, ping_s=0.2)
    until = time.monotonic() + 60
    while session.call(commands.Commit(txn="0" * 32)).outcome == "0":
        assert time.monotonic() < until, "no ping"
        time.sleep(0.5)


def test_dead_idle_link_shows_at_the_next_call(open_script):
    session = open_script("time.sleep(0.1); sys.exit()", ping_s=0.2)
    session._pinger.join(60)  # it ends when it finds the link dead
    with pytest.raises(Unreachable, match="during ping"):
        session.call(commands.Status())


@pytest.mark.parametrize(
    ("begin", "kind", "words"),
    [
        ("2, nonce=hello['nonce']", ProtocolError, "wire version 2"),
        ("1, nonce=hello['nonce'], agent=[]", ProtocolError, "greeting is not valid"),
        ("1, nonce=hello['nonce'], error={'code': 'root-refused', 'message': 'no'}", BoardError, "no"),
        ("1, nonce='0' * 32, agent='1'", BoardError, "exit code 0"),
    ],
)
def test_bad_greetings(open_script, begin, kind, words):
    head = START.split("say(edgewright")[0]
    with pytest.raises(kind, match=words):
        open_script(f"say(edgewright={begin})", begin=head)


def test_echo_of_the_hello_is_not_a_greeting(open_script):
    with pytest.raises(BoardError, match="exit code 0"):
        open_script("print(sys.stdin.readline())", begin="import sys\n")


def test_heartbeats_do_not_extend_a_commands_limit(open_script, monkeypatch):
    monkeypatch.setattr(commands.Status, "limit_s", 1.0)
    session = open_script("request()\nfor _ in range(40): say(id=1, event='heartbeat'); time.sleep(0.1)")
    began = time.monotonic()
    with pytest.raises(TooLate, match="did not finish status within 1 s"):
        session.call(commands.Status())
    assert time.monotonic() - began >= 1.0


def test_each_command_has_a_limit_and_those_that_only_look_a_short_one():
    limits = {one.do: one.limit_s for one in commands.COMMANDS}
    assert limits["status"] == 30 and limits["logs"] <= 60 and max(limits.values()) <= 3600


def test_events_without_an_end_are_ended(open_script):
    session = open_script("request()\nfor _ in range(20001): say(id=1, event='progress', what='x')")
    with pytest.raises(ProtocolError, match="more than 20000 events of one command"):
        session.call(commands.Status(), on_event=[].append)


def test_an_activation_whose_answer_comes_too_late_is_asked_about(monkeypatch):
    def call(command):
        raise TooLate("too late")

    monkeypatch.setattr(transaction, "settle", lambda *_: "committed")
    session = SimpleNamespace(call=call, board=SimpleNamespace(name="b"))
    trace = Trace()
    transaction.Transaction(session, "m", lambda: session).switch(commands.Activate(
        model="m", release="1-00000000", expected_current=None, txn="0" * 32, deadline_s=5), trace)  # fmt: skip
    assert not trace.activating
    trace.activating = True
    assert kind_of(TooLate("too late"), trace) == UNKNOWN
