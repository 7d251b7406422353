"""The result of `status`: what runs on each board, as its agent reports it."""

from __future__ import annotations

from edgewright.api.results import StatusResult as StatusResult
