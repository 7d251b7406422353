"""Boards that send more than they may: tests each row of the table of caps."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from array import array
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import paramiko
import pytest

from edgewright.compile.data import answers, board_archive
from edgewright.connect import transfer
from edgewright.connect.ssh import incoming
from edgewright.deployments.board_scoring import Scoring
from edgewright.errors import ProtocolError, UsageError
from edgewright.measure import benchmark, infer, output_limits
from edgewright.measure.release_manifest import Released
from edgewright.metrics import METRICS
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.measurement import QUICK, STANDARD
from edgewright.wire import caps
from edgewright.wire.answers import BenchRun, Evaluated, Result, Tensor
from edgewright.wire.transport import Log

HERE = Path(__file__).parent
SPEC_OF_LIES = importlib.util.spec_from_file_location("lies", HERE / "lies.py")
lies = importlib.util.module_from_spec(SPEC_OF_LIES)
SPEC_OF_LIES.loader.exec_module(lies)
MOST_MIB = 128  # beyond what the process has in use
INFER = ["infer", "doubler", "--on", "f-1", "--input", "INPUT"]
BENCH = ["bench", "doubler", "--on", "f-1", "--protocol", "quick"]
SLOW = "slow"
LIES = {  # cap: [(kind, name, command, words of the error, nothing or SLOW)]
    "NOISE": [
        ("before", "lines", ["status"], "no greeting"),
        ("before", "no end", ["status"], "no greeting", SLOW),
    ],
    "LINE": [
        ("answer", "no end", ["status"], "line from the board is longer"),
        ("answer", "wide", ["status"], "not valid", SLOW),
    ],
    "EVENTS": [
        ("answer", "events", ["status"], "events of one command"),
        ("answer", "heartbeats", ["status"], "did not finish status within 1.5 s", SLOW),
    ],
    "STDERR": [("answer", "stderr", ["status"], "did not finish status within 1.5 s")],
    "LOGS": [("result", "zeros 2", ["logs", "f-1"], "result of 2097152 bytes")],
    "OUTPUTS": [("result", "zeros 200", INFER, "result of 209715200 bytes")],
    "UNKNOWN_OUTPUTS": [
        ("result", "bomb", INFER, "an archive that is packed"),
        ("result", "overlap", INFER, "members other than the outputs", SLOW),
        ("result", "directory", INFER, "members other than the outputs", SLOW),
        ("result", "header", INFER, "no array of version 1", SLOW),
        ("result", "largest of infer", INFER, "", SLOW),
        ("result", "largest of infer", [*INFER, "--json"], "at most 524288", SLOW),
        ("result", "largest of text", [*INFER, "--json"], "", SLOW),
    ],
    "SAMPLES": [
        ("result", "zeros 200", BENCH, "result of 209715200 bytes"),
        ("result", "largest of bench", BENCH, "", SLOW),
        ("result", "nan", BENCH, "no inference has", SLOW),
    ],
}


@pytest.fixture(scope="module")
def liar(pi, configured, tmp_path_factory):
    """`liar(steps)`: the result of each (kind, name, command) with a lying board, all in one process."""
    if pi.current is None:
        pi.deploy("a", "1")
    for name in ("liar.py", "lies.py"):
        shutil.copy(HERE / name, pi.lab.folder)
    source = tmp_path_factory.mktemp("given") / "input.npz"
    np.savez(source, input_0=np.ones((1, 4), np.float32))

    def told(steps):
        plans = [
            [{"suffix": "", "keep": [], "replace": [0, 0.0], "number": "", "more": more}, [str(source) if one == "INPUT" else one for one in command]]
            for more, command in steps
        ]  # fmt: skip
        (pi.lab.folder / "liar.json").write_text(json.dumps(plans[0][0]))
        with configured(pi, f"ForceCommand python3 {pi.lab.folder}/liar.py"):
            done = subprocess.run(
                [sys.executable, str(HERE / "peaks.py"), str(pi.lab.folder / "liar.json")],
                input="".join(json.dumps(one) + "\n" for one in plans), capture_output=True, text=True, timeout=200, check=False,
            )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return told


def asked(which):
    """The lies of a run: (cap, (kind, name), command, words)."""
    rows = [(cap, *one) for cap, lies in LIES.items() for one in lies]
    return [
        (cap, (kind, name), *rest[:2])
        for cap, kind, name, *rest in rows
        if (SLOW in rest[2:]) == (which == SLOW)
    ]


@pytest.mark.parametrize("which", ["quick", pytest.param(SLOW, marks=pytest.mark.slow)])
def test_what_a_board_says_beyond_a_cap_is_one_line_and_little_memory(liar, survived, which):
    steps = asked(which)
    honest = [(None, INFER), (None, ["status"])]  # they import the modules that the others need
    found = liar([*honest, *((lie, command) for _, lie, command, _ in steps)])
    assert [one["code"] for one in found[: len(honest)]] == [0, 0], found[:2]
    wrong = []
    for (cap, (_, name), command, words), one in zip(steps, found[len(honest) :], strict=True):
        said = one["out"] + one["err"]
        fine = (
            words in said and one["mib"] <= MOST_MIB and one["s"] < 20 and (one["code"] != 0) == bool(words)
        )
        fine = fine and "internal error" not in said and "Traceback" not in said
        fine = fine and ("--json" in command or said.count("error: ") == bool(words))
        wrong += [] if fine else [(cap, name, command[0], one)]
    assert wrong == [], "\n".join(map(str, wrong))
    survived("hostile boards: answers beyond the cap of their kind", len(steps))


ELSEWHERE = {"RANKS": "test_answers_to_an_evaluation_set", "ANSWERS": "test_answers_to_an_evaluation_set",
             "PACKET": "test_a_server_that_sends_a_packet_of_gigabytes", "WINDOW": "test_a_server_that_does_not_keep_to_the_window"}  # fmt: skip


def test_every_cap_has_a_lie():
    named = {name: cap for name, cap in vars(caps).items() if isinstance(cap, caps.Cap)}
    assert set(named) == {*LIES, *ELSEWHERE} and set(named.values()) == set(caps.CAPS)
    assert all(test in globals() for test in ELSEWHERE.values())
    assert {lie[0] for cap in LIES for lie in asked("quick") if lie[0] == cap} == set(LIES)


SPEC = Tensor(name="y", dtype="float32", shape=(4,))
KINDS = [
    "bomb",
    "packed",
    "overlap",
    "directory",
    "long",
    "shape",
    "other",
    "names",
    "header",
    "large header",
    "objects",
    "zeros 2",
    "largest of infer",
]


@pytest.mark.parametrize(
    ("kind", "specs"), [(kind, specs) for kind in KINDS for specs in ((SPEC,), None)][:-1]
)
def test_an_archive_that_lies(kind, specs):
    data = lies.RESULTS[kind]()
    tracemalloc.start()
    try:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            with pytest.raises(ValueError, match=r"."):
                board_archive.stored(file, specs, 1)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024**2
    finally:
        tracemalloc.stop()


def test_a_good_archive_is_read_and_large_arrays_are_mapped():
    values = np.arange(3 * 200_000, dtype=np.float32).reshape(3, 200_000)
    with tempfile.TemporaryFile() as file:
        file.write(
            lies.archive(
                [
                    ("output_0", lies.header(values.shape) + values.tobytes()),
                    ("output_1", lies.header((3,), "<i8") + bytes(24)),
                ]
            )
        )
        large, small = board_archive.stored(
            file, (Tensor(dtype="float32", shape=(200_000,)), Tensor(dtype="int64", shape=())), 3
        )
    assert (large == values).all() and large.flags.aligned and isinstance(large.base, np.memmap)
    assert small.tolist() == [0, 0, 0]
    large[0, 0] = small[0] = 5  # as arrays that were read


@pytest.mark.parametrize("shape", [(2**24, 1), (2**22, 2), (2**15, 2**9), (16, 2**19)])
def test_f1_of_large_answers_takes_little_memory_and_is_that_of_the_whole(shape):
    values = np.random.default_rng(1).random(shape, dtype=np.float32)
    labels = np.random.default_rng(2).integers(0, max(2, shape[1]), shape[0])
    said = (values[:, 0] >= 0.5).astype(int) if shape[1] == 1 else values.argmax(axis=1)
    kinds = [1] if shape[1] == 1 else np.unique(np.concatenate([said, labels]))
    count = np.bincount(said, minlength=2**19) + np.bincount(labels, minlength=2**19)
    whole = np.mean(2 * np.bincount(labels[said == labels], minlength=2**19)[kinds] / count[kinds])
    tracemalloc.start()
    try:
        assert METRICS["f1"].score(values, labels) == pytest.approx(whole, rel=1e-12)
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["mse", "mae", "auc", "real values"])
def test_large_answers_are_scored_in_little_memory(name):
    values = np.ones((64, 2**18), np.int8)  # 64 MiB as real values, 128 as differences
    real = values.astype(np.float32)
    tracemalloc.start()
    try:
        if name == "real values":
            spec = TensorSpec(name="y", shape=(2**18,), dtype="int8", scale=0.5, zero_point=3)
            found = answers.real_of(values, spec)
            assert (
                found.shape == values.shape and found.dtype == np.float32 and (found[::9, ::999] == -1).all()
            )
        elif name == "auc":
            sample = real.reshape(2**14, 2**10)
            assert METRICS[name].score(sample, np.arange(2**14) % 2**4) == 0.5
        else:
            assert METRICS[name].score(real, values).tolist() == [0.0] * 64
        assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("keep", "size"), [("top5", 4 * 5 * 3 + 20), ("first", 3 * 16 + caps.HEADERS + 1), ("all", 2**28)]
)
def test_answers_to_an_evaluation_set(keep, size):
    named = Result(result="1-x", sha256="0" * 64, size=size)
    answer = Evaluated(keep=keep, n=3, outputs=(SPEC,), answers=named)
    scoring = Scoring.__new__(Scoring)
    scoring._given = SimpleNamespace(count=3)
    session = SimpleNamespace(board=SimpleNamespace(name="b"))  # it fetches nothing
    session.get_file = lambda result, most: transfer.get_file(session, result, most)
    with pytest.raises((ProtocolError, ValueError), match=str(size)):
        scoring._read(session, keep, answer)


def pair():
    """Both ends of a paramiko connection: (server's Transport, client's, bounded as in the product)."""
    ends = socket.socketpair()
    server, client = (
        paramiko.Transport(ends[0]),
        paramiko.Transport(ends[1], default_window_size=caps.WINDOW.most),
    )
    server.add_server_key(paramiko.ECDSAKey.generate())
    incoming.bound(client)
    return server, client


class Open(paramiko.ServerInterface):
    """A server that lets anyone in."""

    def check_auth_none(self, username):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED


def test_a_server_that_does_not_keep_to_the_window():
    server, client = pair()
    try:
        server.start_server(event=threading.Event(), server=Open())
        client.start_client(timeout=30)
        client.auth_none("x")
        ours = client.open_session(window_size=caps.WINDOW.most, timeout=30)
        theirs = server.accept(30)
        theirs.out_window_size = 2**31
        with contextlib.suppress(OSError, EOFError):
            for _ in range(64):
                theirs.sendall(bytes(2**20))
        limit = time.monotonic() + 30
        while client.is_active() and time.monotonic() < limit:
            time.sleep(0.02)
        assert not client.is_active()
        assert len(ours.in_buffer) <= caps.WINDOW.most + caps.PACKET.most
    finally:
        client.close(), server.close()


def test_a_server_that_sends_a_packet_of_gigabytes():
    ends = socket.socketpair()
    client = paramiko.Transport(ends[1])
    incoming.bound(client)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        client.start_client(event=threading.Event())
        ends[0].sendall(b"SSH-2.0-x\r\n" + struct.pack(">L", 2**31 - 4) + bytes(4))
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 16 * 2**20:
                sent += ends[0].send(bytes(65536))
        assert sent < 4 * 2**20, "it took all of that"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    finally:
        client.close(), ends[0].close()


def test_a_banner_without_an_end():
    ends = socket.socketpair()
    client, sent = paramiko.Transport(ends[1]), 0
    incoming.bound(client)
    ends[0].settimeout(30)
    try:
        client.start_client(event=threading.Event())
        with contextlib.suppress(OSError):
            while sent < 2**20:
                sent += ends[0].send(bytes(16384))
        assert sent < 640 * 1024  # the socket's buffer, and the cap
    finally:
        client.close(), ends[0].close()


def test_what_stderr_is_kept():
    pieces = (bytes([number % 250]) * 65536 for number in range(1000))  # distinct objects
    tracemalloc.start()
    try:
        log = Log(lambda: next(pieces, b""), "log")
        log.join(30)
        assert len(log.text()) == caps.STDERR.most
        assert tracemalloc.get_traced_memory()[0] < 4 * caps.STDERR.most
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("verified", "shape", "text", "most"),
    [(True, (2**20,), False, 3 * 2**22), (True, (2**26,), True, 3 * 2**28), (False, (2**22,), False, 3 * 2**24), (False, (4,), False, 48),
     (False, (170_000,), True, 3 * 680_000), (None, (), False, 2**28), (None, (), True, 0)],
)  # fmt: skip
def test_what_infer_takes(verified, shape, text, most):
    assert output_limits.most_of(released_of(verified, shape), 3, text) == most + caps.HEADERS


@pytest.mark.parametrize(
    ("verified", "shape", "text", "words", "hint"),
    [(True, (2**27,), False, "1536.0 MiB, at most 1024 MiB", "give at most 2 samples at once"),
     (False, (2**25,), False, "384.0 MiB, at most 256 MiB", "give at most 2 samples at once, or run it on a machine"),
     (False, (2**40,), False, "at most 256 MiB", "run it on a machine"), (True, (2**40,), True, "at most 1024 MiB", "read them on the board"),
     (False, (2**18,), True, "786432 values, at most 524288", "give at most 2 samples at once, or save them with --output")],
)  # fmt: skip
def test_what_infer_does_not_take_is_refused_before_the_board_does_anything(
    verified, shape, text, words, hint
):
    inputs = io.BytesIO()
    np.savez(inputs, input_0=np.ones((3, 4), np.float32))
    with pytest.raises(UsageError, match=words) as refused:  # no session: the board is asked nothing
        infer.run_on(None, "m", None, inputs.getvalue(), about=released_of(verified, shape), as_text=text)
    assert refused.value.hint.startswith(hint)


def test_outputs_whose_size_nobody_knew_are_refused_with_a_way_out():
    with pytest.raises(UsageError, match="at most 1048576") as refused:
        output_limits.check_unknown(2**20 + 1, output_limits.most_of(None, 1, True))
    assert "fewer samples" in refused.value.hint
    assert msgspec.convert({"result": "1-x", "sha256": "0" * 64, "size": 2**40}, Result).size == 2**40


def released_of(verified, shape):
    """A release with one output; None if nothing is known of it."""
    spec = TensorSpec(name="y", shape=shape, dtype="float32")
    return None if verified is None else Released(inputs=(), outputs=(spec,), verified=verified)


def run_of(release="a-00000000", number=0, size=8):
    """A run as a board reports it."""
    samples = Result(result="1-x", sha256="0" * 64, size=size)
    return BenchRun(
        release=release,
        round=number,
        import_ms=0,
        load_ms=0,
        first_ms=0,
        samples=samples,
        baseline_kb=0,
        peak_kb=0,
        memory_method="",
    )


@pytest.mark.parametrize(
    "runs",
    [
        [run_of()] * 2,
        [run_of(number=QUICK.rounds)],
        [run_of("b-00000000")],
    ],
)
def test_runs_that_nobody_asked_for(runs):
    benchmark.check_runs([run_of()], QUICK, ["a-00000000"])
    with pytest.raises(ProtocolError):
        benchmark.check_runs(runs, QUICK, ["a-00000000"])
    assert benchmark.most_of_run(QUICK) < 80 * 2**20


def test_the_samples_of_a_very_fast_model_are_thinned_by_blocks():
    taken = array("d", (0.001 * (number % 7) for number in range(1_500_000)))  # 12 MB: 3 s at 2 µs
    runs = [run_of(name, number, 8 * len(taken)) for number in range(5) for name in ("a", "b")]
    benchmark.check_runs(runs, STANDARD, ["a", "b"])
    assert runs[0].samples.size <= benchmark.most_of_run(STANDARD) <= caps.SAMPLES.most
    session = SimpleNamespace(get_file=lambda *_, **__: io.BytesIO(taken.tobytes()))
    every = benchmark.stride(runs)
    kept = benchmark.read_run(session, runs[0], benchmark.most_of_run(STANDARD), every).samples_ms
    assert every == 3 and kept == array("d", (value for at, value in enumerate(taken) if at // 1000 % 3 == 0))
    assert 8 * len(kept) * len(runs) <= caps.KEPT_SAMPLES
    assert (
        "1 of 3 blocks" in benchmark.thinned(every)[0] and benchmark.thinned(benchmark.stride(runs[:1])) == []
    )
