"""Results of `convert` and `init`."""

from __future__ import annotations

from pathlib import Path

from edgewright.compile.explain import Explanation
from edgewright.compile.request import Plan
from edgewright.measure.search.engine import SearchResult
from edgewright.nouns.artifact import Manifest
from edgewright.nouns.base import Noun


class ConvertResult(Noun, frozen=True, kw_only=True):
    """`edgewright convert`.

    Attributes:
        plan: what a dry run would do; null otherwise.
        notes: choices that edgewright made for the user (after a conversion only those that are not in its manifest), and
            which usual runtimes of the profile cannot read the artifact.
        artifact: id of the artifact; null in a dry run, as are `folder` and `manifest`.
        covered: what the golden inputs cover, a text for each output.
        explanation: with `--explain`. search: with `--fallback`.
    """

    dry_run: bool = False
    plan: Plan | None = None
    notes: tuple[str, ...] = ()
    artifact: str | None = None
    folder: Path | None = None
    manifest: Manifest | None = None
    covered: tuple[str, ...] = ()
    explanation: Explanation | None = None
    search: SearchResult | None = None


class InitResult(Noun, frozen=True, kw_only=True):
    """`edgewright init`: the file that was written, the model's name and its format."""

    path: Path
    name: str
    format: str
