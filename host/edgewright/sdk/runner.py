"""The contract of a target's `runner.py`, which is written for Python 3.6 and the standard library, and so imports nothing from here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class RunnerSession(Protocol):
    """One loaded model."""

    accelerator: str  # the one that is really used

    def feed(self, tensors: Sequence[Any]) -> Any:
        """Converts bytes of each input, in the manifest's order, to the native feed. It copies them."""

    def infer(self, feed: Any) -> Any:
        """Runs one inference, which is the call that is timed. Returns native outputs."""

    def read(self, outputs: Any) -> list[bytes]:
        """Converts native outputs to bytes of each output, in the manifest's order and dtype."""

    def close(self) -> None:
        """Frees the session."""


class Runner(Protocol):
    """The module `runner.py`, which is sent to boards. ARCHITECTURE.md describes the optional functions."""

    def import_runtime(self) -> str:
        """Imports the runtime. Returns its distribution and version, such as `ai-edge-litert 2.3.0`."""

    def accelerators(self) -> list[str]:
        """Names of accelerators that are usable now, `cpu` first."""

    def prepare(self, folder: str, manifest: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Prepares the artifact on the board, in `options["prepared"]`. Returns {} or `{"accelerator": the one chosen instead}`."""

    def load(self, folder: str, manifest: dict[str, Any], options: dict[str, Any]) -> RunnerSession:
        """Opens a session for the artifact in `folder`; `options` has `threads`, `accelerator` and `prepared`."""
