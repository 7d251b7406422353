"""Shows an artifact: what it is, how it was checked, and how accurate it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.cli import render

if TYPE_CHECKING:
    from edgewright.cli.results.convert import ConvertResult
    from edgewright.compile.explain import Explanation
    from edgewright.deploy.runtime_caps import Reader
    from edgewright.measure.search.engine import SearchResult
    from edgewright.nouns.artifact import Accuracy, Artifact, Manifest
    from edgewright.nouns.profile import Profile


def record(
    artifact: Artifact, folder: Path, explanation: Explanation | None, search: SearchResult | None = None
) -> ConvertResult:
    """For JSON: what was made."""
    from edgewright.cli.results.convert import ConvertResult
    from edgewright.compile.data import class_coverage

    return ConvertResult(
        artifact=artifact.id,
        folder=folder,
        manifest=artifact.manifest,
        covered=tuple(class_coverage.described(artifact.folder, artifact.manifest)),
        explanation=explanation,
        search=search,
    )


def copied(folder: Path, output: Path | None) -> Path:
    """The folder of an artifact, or its copy where one was asked for."""
    import shutil

    if output is None:
        return folder
    shutil.copytree(folder, output)
    return output


def show_artifact(artifact: Artifact, folder: Path) -> None:
    """Prints what an artifact is."""
    from edgewright.compile.quality.verdict import description

    manifest = artifact.manifest
    accuracy = manifest.accuracy
    rows = [
        ("artifact", artifact.id[:12]),
        ("folder", folder),
        ("source", f"{manifest.source.file} ({manifest.source.format})"),
        ("target", f"{manifest.target} {manifest.precision}"),
        ("size", render.size(manifest.model_bytes)),
        ("calibration", calibration_text(manifest.calibration.kind, manifest.calibration.samples)),
        *data_rows(artifact),
        *description.rows(manifest),
        ("needs", ", ".join(f"{key} {value}" for key, value in sorted(manifest.requires.items())) or "-"),
    ]  # fmt: skip
    if accuracy is not None:
        rows.append(
            (
                "accuracy",
                accuracy_text(manifest, accuracy),
            )
        )
    rows += [("note", note) for note in manifest.notes]
    render.table("", ["", ""], rows)


def data_rows(artifact: Artifact) -> list[tuple[str, str]]:
    """What the calibration data show of each input, and what the goldens cover."""
    from edgewright.compile.data import class_coverage, input_ranges

    manifest = artifact.manifest
    known = zip(manifest.inputs, manifest.calibration.ranges, strict=False)
    rows = [
        (f"input {spec.name}", f"{input_ranges.text(found)} in the calibration data") for spec, found in known
    ]
    covered = class_coverage.described(artifact.folder, manifest)
    return [*rows, *([("goldens", "; ".join(covered))] if covered else [])]


def show_too_old(readers: Sequence[Reader], profile: Profile) -> None:
    """Says which of a profile's usual runtimes do not read an artifact."""
    if readers:
        render.line(f"too new for {', '.join(reader.title for reader in readers)} of {profile.name}")


def accuracy_text(manifest: Manifest, accuracy: Accuracy) -> str:
    """The accuracy of an artifact against its source's, for a person."""
    from edgewright.compile.quality.accuracy import said
    from edgewright.metrics import to_show
    from edgewright.nouns.comparison import Comparison

    metric = to_show(accuracy.metric, higher_is_better=accuracy.higher_is_better)
    drop = metric.drop(accuracy.source, accuracy.artifact) if accuracy.drop is None else accuracy.drop
    found = Comparison(
        metric=accuracy.metric, n=accuracy.n, reference=accuracy.source, value=accuracy.artifact, drop=drop,
        low=accuracy.low, high=accuracy.high, p=accuracy.p, method=accuracy.method,
    )  # fmt: skip
    return said(metric, found) + accuracy.of(manifest.outputs)


def calibration_text(kind: str, samples: int) -> str:
    """How the ranges were fixed, for a person."""
    return {"data": f"{samples} samples", "synthetic": "synthetic: answers on real inputs are unknown"}.get(
        kind, "-"
    )
