"""Links that are cut: at every piece of an upload, and around every command; the board still works afterwards."""

from __future__ import annotations

import os

import pytest

from edgewright.errors import Unreachable
from edgewright.wire import commands
from edgewright_agent.protocol import PIECE

SIZE = 5 * PIECE + 1234


def uploaded(pi, data, sha):
    """How many bytes of an upload are on the board."""
    whole, part = pi.root / "incoming" / sha(data), pi.root / "incoming" / f"{sha(data)}.part"
    return len(whole.read_bytes()) if whole.exists() else part.stat().st_size if part.exists() else 0


def test_an_upload_cut_at_every_piece_goes_on_and_ends_whole(pi, kit, make_link, survived):
    link, data = make_link(pi.board.port), os.urandom(SIZE)
    cuts, before = 0, 0
    while True:
        link.cut_after()
        with pi.open(port=link.port) as session:
            link.cut_after(sent=PIECE)
            try:
                session.put(data)
            except Unreachable:
                cuts += 1
            else:
                assert session.sent_bytes == SIZE - before
                break
        kit.wait_until(lambda: not pi.agents())
        there = uploaded(pi, data, kit.sha)
        assert before < there <= before + PIECE, "bytes that arrived were lost"
        before = there
    assert (pi.root / "incoming" / kit.sha(data)).read_bytes() == data
    assert cuts >= SIZE // PIECE
    survived("links: cut inside an upload, a piece further each time", cuts)


STEPS = ("begin", "put", "provision", "install", "verify", "bench", "activate", "commit", "end")
SOON = ("sent-commit",)
LOST = [
    pytest.param(step, lost, id=f"{step}-{name}", marks=() if f"{lost}-{step}" in SOON else pytest.mark.slow)
    for step in STEPS
    for lost, name in (("sent", "request"), ("received", "answer"))
]
# The `outcome` afterwards; without an entry, the transaction did not get that far.
OUTCOMES = {
    ("activate", "received"): "trial",
    ("commit", "sent"): "trial",
    ("commit", "received"): "committed",
    ("end", "sent"): "committed",
    ("end", "received"): "committed",
}


@pytest.mark.parametrize(("step", "lost"), LOST)
def test_a_command_whose_request_or_answer_is_lost(pi, kit, make_link, survived, step, lost):
    if pi.current is None:
        pi.deploy("old", "old")
    old, link = pi.current, make_link(pi.board.port)
    session = pi.open(port=link.port)
    deployment = kit.Deployment(session, kit.artifact(step + lost), f"{step}-{lost}")
    for earlier in STEPS[: STEPS.index(step)]:
        getattr(deployment, earlier)()
    link.cut_after(**{lost: 0})
    with pytest.raises(Unreachable):
        getattr(deployment, step)()
    session.close()
    pi.intact()
    with pi.open() as session:
        outcome = session.call(commands.AskOutcome(txn=deployment.txn)).outcome
        assert outcome == OUTCOMES.get((step, lost), "unknown")
        if outcome == "trial":
            assert session.call(commands.Revert(txn=deployment.txn)).outcome == "reverted"
        assert pi.current == (deployment.release if outcome == "committed" else old)
    pi.intact()
    assert pi.deploy("next", f"next-{step}-{lost}") == pi.current
    survived("links: cut before a command arrives, or before its answer does")
