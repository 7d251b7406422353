"""A board that is too slow for a benchmark, even with more time."""

from __future__ import annotations

from typing import Any, cast

import pytest

from edgewright.connect.session import Session
from edgewright.errors import BoardError, Code
from edgewright.measure.benchmark import benchmark
from edgewright.measure.threads import Threads
from edgewright.nouns.measurement import PROTOCOLS


class Slow:
    """A session whose board never loads the model in time."""

    def call(self, command: Any, **_: Any) -> None:
        raise BoardError(
            "the runtime did not finish in load: 60 s", hint=Code.SLOW_START.cure, code=Code.SLOW_START
        )


@pytest.mark.parametrize(("name", "names_it"), [("quick", True), ("standard", False)])
def test_the_hint_names_the_standard_protocol_only_where_it_did_not_run(name: str, names_it: bool) -> None:
    with pytest.raises(BoardError) as slow:
        benchmark(
            cast("Session", Slow()), "m", ["1"], PROTOCOLS[name],
            board="b", compiled={}, threads=Threads(1, 1), accelerator=None,
        )  # fmt: skip
    assert slow.value.code == "slow-start" and ("--protocol standard" in slow.value.hint) is names_it
