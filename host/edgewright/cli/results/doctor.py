"""The result of `doctor`."""

from __future__ import annotations

from edgewright.api.results import BoardAnswer
from edgewright.doctor.board import Diagnosis
from edgewright.doctor.host import HostState
from edgewright.nouns.base import Noun


class DoctorResult(Noun, frozen=True, kw_only=True):
    """`edgewright doctor`.

    Attributes:
        boards: empty with `--host`.
        host: this machine, with `--host`.
        ready_extras: extras whose packages are all installed, with `--host`.
    """

    boards: tuple[BoardAnswer[Diagnosis], ...] = ()
    host: HostState | None = None
    ready_extras: tuple[str, ...] = ()
