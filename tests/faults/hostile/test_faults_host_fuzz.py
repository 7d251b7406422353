"""Any bytes from a board end in a result or in one of this project's errors, within bounded memory and time."""

from __future__ import annotations

import copy
import hashlib
import io
import time
import tracemalloc

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgewright.compile.data.goldens import write_npz
from edgewright.nouns.facts import Facts
from edgewright_agent import protocol

SOON = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LONG = settings(SOON, max_examples=1500)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=30)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
WORDS = st.sampled_from(["id", "ok", "error", "event", "bytes", "progress", "size", "sha256", "complete", "offset",
                         "prefix_sha256", "log", "result", "code", "message", "hint", "arch", "python", "heartbeat"])  # fmt: skip
ANSWERS = st.fixed_dictionaries(
    {"id": st.sampled_from([1, 2, 3, 4, 5, None, "1", -1])},
    optional={
        "ok": VALUES | st.dictionaries(WORDS, VALUES, max_size=5),
        "error": VALUES | st.fixed_dictionaries({"code": VALUES, "message": VALUES, "hint": VALUES}),
        "event": st.sampled_from(["bytes", "progress", "heartbeat", "log", "x"]) | VALUES,
        "size": st.integers(-5, 50) | VALUES, "done": VALUES, "total": VALUES, "what": VALUES, "text": VALUES,
    },
)  # fmt: skip
GREETINGS = st.dictionaries(
    st.sampled_from(
        ["edgewright", "agent", "sha256", "python", "root", "board_id", "recovered", "need", "error", "x"]
    ),
    VALUES,
)


def lines(talk, messages):
    return b"".join(one if isinstance(one, bytes) else talk.line(one) for one in messages)


MESSAGES = st.lists(ANSWERS | VALUES | st.binary(max_size=60), max_size=8)


def judge(talk, said, piece):
    began = time.monotonic()
    board = talk.converse(said, piece)
    assert time.monotonic() - began < 15  # a silent board is waited for 30 s
    assert board.given <= len(board.said)


def bytes_of_a_greeting(talk, greeting, messages):
    return talk.line({"edgewright": 1, "nonce": "NONCE", "agent": "1", **greeting}) + lines(talk, messages)


@pytest.mark.parametrize(
    "examples", [SOON, pytest.param(LONG, marks=pytest.mark.exhaustive)], ids=["some", "many"]
)
@pytest.mark.parametrize("kind", ["noise", "greeting", "answers"])
def test_any_bytes_end_in_a_result_or_an_error(talk, survived, kind, examples):
    tried = []

    @examples
    @given(st.binary(max_size=2000), GREETINGS, MESSAGES, st.sampled_from([1, 7, 65536]))
    def run(noise, greeting, messages, piece):
        said = {
            "noise": noise,
            "greeting": bytes_of_a_greeting(talk, greeting, messages),
            "answers": noise.replace(b"NONCE", b"") + b"\n" + talk.GREETING + lines(talk, messages),
        }[kind]
        judge(talk, said, piece)
        tried.append(1)

    run()
    survived("hostile boards: random bytes and messages to the host", len(tried))


OUTPUTS = io.BytesIO()
write_npz(OUTPUTS, iter([("output_0", np.ones((1, 2), np.float32))]))
OUTPUTS, SAMPLES = OUTPUTS.getvalue(), np.arange(1.0, 21.0).tobytes()
RESULT, TIMES = (
    {"result": "1-x", "sha256": hashlib.sha256(one).hexdigest(), "size": len(one)}
    for one in (OUTPUTS, SAMPLES)
)
RUN = {"release": "1-00000000", "round": 0, "import_ms": 1.0, "load_ms": 1.0, "first_ms": 1.0, "samples": TIMES, "count": 20,
       "baseline_kb": 1, "peak_kb": 1, "memory_method": "m"}  # fmt: skip
GOOD = [
    {"id": 1, "ok": {"models": {}, "lease": None, "problem": ""}},
    {"id": 2, "ok": msgspec.to_builtins(Facts())},
    {"id": 3, "ok": {"complete": False, "offset": 4, "prefix_sha256": "0" * 64}},
    {"id": 4, "event": "progress", "what": "upload", "done": 1, "total": 2},
    {"id": 4, "ok": {}},
    {
        "id": 5,
        "ok": {"log": {"result": "1-log.txt", "sha256": hashlib.sha256(b"abc").hexdigest(), "size": 3}},
    },
    {"id": 6, "event": "bytes", "size": 3, "sha256": "a" * 64},
    b"abc",
    {"id": 6, "ok": {}},
    {"id": 7, "ok": {"complete": True}},
    {
        "id": 8,
        "ok": {
            "outputs": RESULT,
            "ms": [1.0],
            "release": "1-00000000",
            "runtime": "r 1",
            "accelerator": "cpu",
        },
    },
    {"id": 9, "event": "bytes", "size": len(OUTPUTS)},
    OUTPUTS,
    {"id": 9, "ok": {}},
    {"id": 10, "ok": {"runs": [RUN]}},
    {"id": 11, "event": "bytes", "size": len(SAMPLES)},
    SAMPLES,
    {"id": 11, "ok": {}},
]


def test_the_good_conversation_is_good(talk):
    said = talk.GREETING + lines(talk, GOOD)
    assert talk.converse(said).fine == 6  # otherwise the fuzzer would change bytes that nobody reads


@pytest.mark.parametrize(
    "examples", [SOON, pytest.param(LONG, marks=pytest.mark.exhaustive)], ids=["some", "many"]
)
def test_a_good_conversation_with_one_thing_changed(talk, survived, examples):
    good, tried = talk.GREETING + lines(talk, GOOD), []

    @examples
    @given(st.data(), VALUES, st.binary(max_size=5))
    def run(data, value, patch):
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(good)))  # the archive of outputs and the samples are in it
            said = good[:at] + patch + good[at + data.draw(st.integers(0, 5)) :]
        else:
            messages = copy.deepcopy(GOOD)
            one = data.draw(st.sampled_from([message for message in messages if isinstance(message, dict)]))
            inner = one.get("ok") or one
            inner[data.draw(st.sampled_from(sorted(inner)))] = value
            said = talk.GREETING + lines(talk, messages)
        judge(talk, said, 65536)
        tried.append(1)

    run()
    survived("hostile boards: a good conversation with one thing changed", len(tried))


GREAT = {
    "a line without an end": b"x" * 40_000_000,
    "empty lines before the greeting": b"\n" * 40_000_000,
    "empty objects": b"{}\n" * 5_000_000,
    "events": b'{"id":1,"event":"progress","what":"%s"}\n' % (b"x" * 500) * 40_000,
    "deep": b"[" * 1_000_000 + b"\n",
    "a great number": b'{"id":1,"ok":{"n":%s}}\n' % (b"9" * 900_000),
    "wide": b'{"id":1,"ok":{%s}}\n' % b",".join(b'"%d":1' % n for n in range(90_000)),
    "raw bytes": b'{"id":1,"event":"bytes","size":40000000}\n' + b"x" * 40_000_000,
}


@pytest.mark.parametrize("greeted", [True, False], ids=["greeted", "ungreeted"])
@pytest.mark.parametrize("what", sorted(GREAT))
def test_much_takes_little_memory_and_time(talk, survived, what, greeted):
    said = (talk.GREETING if greeted else b"") + GREAT[what]
    tracemalloc.start()
    before, began = tracemalloc.get_traced_memory()[0], time.process_time()
    try:
        talk.converse(said)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    # the bytes are copied once when the nonce is inserted: that is the test's own memory
    assert peak - len(said) * greeted < 40 * protocol.MAX_LINE
    assert time.process_time() - began < 20
    survived("hostile boards: more than a line, a greeting or a result may hold")
