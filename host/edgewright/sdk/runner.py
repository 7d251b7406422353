"""What a target's `runner.py` gives. It is written for Python 3.6 and the standard library, so it imports nothing from here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class RunnerSession(Protocol):
    """One loaded model."""

    accelerator: str  # what really runs

    def feed(self, tensors: Sequence[Any]) -> Any:
        """Bytes of each input, in the manifest's order -> the native feed. It copies them."""

    def infer(self, feed: Any) -> Any:
        """One inference, the call that is timed. Returns native outputs."""

    def read(self, outputs: Any) -> list[bytes]:
        """Native outputs -> bytes of each, in the manifest's order and dtype."""

    def close(self) -> None:
        """Frees the session."""


class Runner(Protocol):
    """The module `runner.py`, which travels to boards. What is optional stands in ARCHITECTURE.md."""

    def import_runtime(self) -> str:
        """Imports the runtime. Returns its distribution and version, such as `ai-edge-litert 2.3.0`."""

    def accelerators(self) -> list[str]:
        """Names usable now, `cpu` first."""

    def prepare(self, folder: str, manifest: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """Board-side preparation into `options["prepared"]`. Returns {} or `{"accelerator": the one that it took instead}`."""

    def load(self, folder: str, manifest: dict[str, Any], options: dict[str, Any]) -> RunnerSession:
        """A session over the artifact in `folder`; `options` has `threads`, `accelerator` and `prepared`."""
