"""Links that are slow, late or stop: no limit ends a transfer that still moves; one that stops is noticed and continues later."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from edgewright.connect.session import Limits
from edgewright.errors import Unreachable

NARROW = 32768  # buffer of a link's sockets: a larger one would swallow a whole upload at once
BLOCK = 256 * 1024  # bytes that may be on their way when a link ends


def there(pi, data, sha):
    """How many bytes of an upload are on the board."""
    whole, part = pi.root / "incoming" / sha(data), pi.root / "incoming" / f"{sha(data)}.part"
    return len(whole.read_bytes()) if whole.exists() else part.stat().st_size if part.exists() else 0


def test_many_files_take_two_round_trips(pi, kit, make_link, survived):
    link = make_link(pi.board.port)
    with pi.open(port=link.port) as session:
        link.delay_s, trips = 0.3, []
        while (
            len(trips) < 3 and 2 not in trips
        ):  # on a busy machine, writing may take longer than the link's delay
            before, files = link.turns, [(os.urandom(2000), f"file {number}") for number in range(8)]
            assert session.put_all(files) == [kit.sha(data) for data, _ in files]
            trips.append(link.turns - before)
        assert min(trips) == 2
        before = link.turns
        assert session.put_all(files[:3]) == [kit.sha(data) for data, _ in files[:3]]
        assert link.turns - before == 1, "what is there needs a question only"
    for data, _ in files:
        assert (pi.root / "incoming" / kit.sha(data)).read_bytes() == data
    survived("links: eight files over a link 300 ms long, in two round trips")


def test_progress_says_what_is_there_and_how_fast(pi, kit, make_link):
    link, steps = make_link(pi.board.port, 4096), []
    with pi.open(port=link.port) as session:
        link.bytes_per_s = 128e3
        session.progress = lambda step: steps.append((step, link.sent))
        before, data = link.sent, os.urandom(640_000)
        session.put(data, label="model.tflite")
    done = [step.done for step, _ in steps]
    assert done == sorted(done) and done[0] == 0 and done[-1] == len(data) and len(set(done)) >= 5
    # kernels acknowledge what the link still holds, some 180 kB on loopback however small its buffers are
    assert all(step.done < (sent - before) + 8 * NARROW for step, sent in steps)
    rates = [step.rate for step, _ in steps if step.rate and step.done > 400_000]
    assert rates and all(0 < rate < 320e3 for rate in rates), (
        rates
    )  # a busy machine makes a link slower, never faster


@pytest.mark.slow
def test_no_limit_ends_what_still_moves(pi, make_link, survived):
    """Sending the agent and a file takes longer than a silence may last, and the board is silent meanwhile."""
    link = make_link(pi.board.port, 4096)
    for entry in (pi.root / "agent").glob("*.pyz"):
        entry.unlink()
    link.bytes_per_s = 10e3
    limits = Limits(silence_s=4.0, greeting_s=3.0)
    began = time.monotonic()
    with pi.open(port=link.port, limits=limits) as session:
        assert time.monotonic() - began > limits.silence_s + 1, "too fast to show anything"
        session.put(os.urandom(64_000))
    survived("links: 10 kB/s, where the agent and an upload take longer than any silence may")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "delay_s"), [(64e3, 0.3), (125e3, 0.05)], ids=["64 kB/s and 300 ms", "1 Mbit/s"]
)
def test_a_whole_deployment_over_a_slow_link(pi, kit, make_link, survived, rate, delay_s):
    pi.deploy("old", "old")
    link = make_link(pi.board.port, NARROW)
    link.bytes_per_s, link.delay_s = rate, delay_s
    with pi.open(port=link.port) as session:
        release = kit.Deployment(
            session, kit.artifact(f"slow{rate}", more=200_000), f"slow-{rate:.0f}"
        ).whole()
    assert pi.current == release
    pi.intact()
    survived("links: a whole deployment at 64 kB/s and 300 ms, and at 1 Mbit/s")


@pytest.mark.slow
def test_an_upload_goes_on_from_any_cut_and_sends_nothing_twice(pi, kit, make_link, survived):
    link, data = make_link(pi.board.port, NARROW), os.urandom(300_000)
    arrived, cuts = 0, 0
    for after in (1, 20_000, 33_333, 65_536, 90_000, None):
        with pi.open(port=link.port) as session:
            link.bytes_per_s, before = 200e3, link.sent
            link.cut_after(sent=after)
            try:
                session.put(data)
            except Unreachable:
                cuts += 1
            else:
                assert session.sent_bytes == len(data) - arrived
        sent, now = link.sent - before, there(pi, data, kit.sha)
        assert now >= arrived and sent < now - arrived + BLOCK
        arrived = now
        link.go_on()
    assert cuts == 5 and arrived == len(data)
    assert (pi.root / "incoming" / kit.sha(data)).read_bytes() == data
    survived("links: 200 kB/s, cut inside an upload, and gone on with", cuts)


def test_a_link_that_stalls_in_an_upload_is_noticed_and_gone_on_with(pi, kit, make_link, survived):
    """All buffers on the way are full, so that even a write blocks."""
    link, data = make_link(pi.board.port, NARROW), os.urandom(2_000_000)
    session = pi.open(port=link.port, limits=Limits(silence_s=2.0))
    link.bytes_per_s = 500e3
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(session.put, data)
        kit.wait_until(lambda: there(pi, data, kit.sha) > 100_000)
        link.stall()
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"f-1 took nothing for 2 s"):
            upload.result(30)
        assert 1 < time.monotonic() - began < 15
    session.close()
    link.close()  # the server and the agent notice too
    arrived = there(pi, data, kit.sha)
    with pi.open() as session:
        session.put(data)
        assert session.sent_bytes <= len(data) - arrived
    assert (pi.root / "incoming" / kit.sha(data)).read_bytes() == data
    survived("links: a stall with all buffers full, inside an upload")


def test_two_sessions_that_send_the_same_file_do_not_mix(pi, kit, make_link, survived):
    data = os.urandom(300_000)
    links = [make_link(pi.board.port, NARROW) for _ in range(2)]
    sessions = [pi.open(port=link.port) for link in links]
    for link in links:
        link.bytes_per_s = 200e3
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda session: session.put(data), sessions)) == [kit.sha(data)] * 2
    assert sum(session.sent_bytes for session in sessions) == len(data), (
        "one waits, and then there is nothing to send"
    )
    assert (pi.root / "incoming" / kit.sha(data)).read_bytes() == data
    for session in sessions:
        session.close()
    survived("links: two sessions that send the same file at once")


@pytest.mark.slow
def test_bytes_that_arrive_after_a_new_session_began_do_no_harm(pi, kit, make_link, survived):
    """The link stops for longer than a user waits; the old session's agent still reads the bytes that were on their way."""
    link, data = make_link(pi.board.port, NARROW), os.urandom(600_000)
    old = pi.open(port=link.port, limits=Limits(silence_s=1.5))
    link.bytes_per_s = 400e3
    with ThreadPoolExecutor(2) as pool:
        upload = pool.submit(old.put, data)
        kit.wait_until(lambda: there(pi, data, kit.sha) > 50_000)
        link.stall()
        with pytest.raises(Unreachable):
            upload.result(30)
        with pi.open() as session:
            again = pool.submit(session.put, data)
            time.sleep(0.5)
            assert not again.done(), "it waits for the old session"
            link.go_on()
            assert again.result(40) == kit.sha(data)
            assert session.sent_bytes < len(data) - 50_000
    old.close()
    assert (pi.root / "incoming" / kit.sha(data)).read_bytes() == data
    survived("links: an old session's bytes arrive while a new one goes on with the upload")
