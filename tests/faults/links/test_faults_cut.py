"""Links that are cut: inside an upload at every piece, and around every command; then the board goes on."""

from __future__ import annotations

import os

import pytest

from edgewright.errors import EdgewrightError, Unreachable
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
