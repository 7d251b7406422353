"""Limits the outputs that `infer` takes from a board; they are known before it runs, as samples times shapes."""

from __future__ import annotations

import math

from edgewright.compile.data.board_archive import sample_bytes
from edgewright.errors import ProtocolError, UsageError
from edgewright.measure.release_manifest import Released
from edgewright.nouns.listing import plural
from edgewright.wire.caps import HEADERS, MIB, OUTPUTS, TEXT_VALUES, UNKNOWN_OUTPUTS

WHERE = "run it on a machine that has the artifact"


def most_of(about: Released | None, count: int, as_text: bool) -> int:
    """Bytes that the outputs for `count` samples may have.

    Args:
        about: the release; None if nobody knows its shapes.
        as_text: all values will be written out.

    Raises:
        UsageError: these samples have more.
        ProtocolError: a dtype that no output has.
    """
    if about is None:
        return HEADERS if as_text else UNKNOWN_OUTPUTS.most
    try:
        one = sample_bytes(about.outputs)
    except ValueError as error:
        raise ProtocolError(f"the board's manifest is not valid: {error}") from error
    if as_text and not about.verified:
        values = sum(math.prod(spec.shape) for spec in about.outputs)
        if count * values > TEXT_VALUES:
            ways = [_fewer(TEXT_VALUES // values), "save them with --output instead of --json", WHERE]
            raise UsageError(
                f"the outputs have {count * values} values, at most {TEXT_VALUES} of a board's own model are written as text",
                hint=", or ".join(filter(None, ways)),
            )
    most = (OUTPUTS if about.verified else UNKNOWN_OUTPUTS).most
    if count * one + HEADERS > most:
        room = most - HEADERS
        ways = [_fewer(room // one), "" if about.verified else WHERE]
        raise UsageError(
            f"the outputs have {count * one / MIB:.1f} MiB, at most {room // MIB} MiB are taken from a board",
            hint=", or ".join(filter(None, ways)) or "read them on the board",
        )
    return count * one + HEADERS


def check_unknown(size: int, most: int) -> None:
    """Raises UsageError for outputs whose shapes nobody knew beforehand, if they are more than is taken."""
    if size > most:
        raise UsageError(
            f"the outputs have {size} bytes, at most {most} are taken from a board whose manifest is not known",
            hint=f"give fewer samples at once, save them with --output instead of --json, or {WHERE}",
        )


def _fewer(samples: int) -> str:
    """The hint to give fewer samples; empty if one is too many."""
    return f"give at most {plural(samples, 'sample')} at once" if samples else ""
