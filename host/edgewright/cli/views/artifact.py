"""Shows an artifact: what it is, how it was checked, and how accurate it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewright.cli import render

if TYPE_CHECKING:
    from edgewright.api.conversion import Converted
    from edgewright.cli.results.convert import ConvertResult
    from edgewright.measure.search.engine import SearchResult
    from edgewright.nouns.artifact import Accuracy, Artifact, Manifest
    from edgewright.nouns.compression import Lineage, LineageStep


def record(converted: Converted, search: SearchResult | None = None) -> ConvertResult:
    """The result of a conversion, for JSON."""
    from edgewright.cli.results.convert import ConvertResult
    from edgewright.compile.data import class_coverage

    artifact = converted.artifact
    return ConvertResult(
        notes=converted.notes,
        artifact=artifact.id,
        folder=artifact.folder,
        manifest=artifact.manifest,
        covered=tuple(class_coverage.described(artifact.folder, artifact.manifest)),
        explanation=converted.explanation,
        search=search,
    )


def show_converted(converted: Converted) -> None:
    """Prints the result of a conversion. Its notes were already printed as they were reported."""
    from edgewright.cli.views.explain import show_explanation

    show_artifact(converted.artifact)
    if converted.explanation is not None:
        show_explanation(converted.explanation)


def show_artifact(artifact: Artifact) -> None:
    """Prints a description of an artifact."""
    from edgewright.compile.quality.verdict import description

    manifest = artifact.manifest
    accuracy = manifest.accuracy
    rows = [
        ("artifact", artifact.id[:12]),
        ("folder", artifact.folder),
        ("source", f"{manifest.source.file} ({manifest.source.format})"),
        *([("made of", lineage_text(manifest.lineage))] if manifest.lineage is not None else []),
        ("target", f"{manifest.target} {manifest.precision}"),
        *([("compiled", f"for {manifest.cpu.title}")] if manifest.cpu is not None else []),
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


def lineage_text(lineage: Lineage) -> str:
    """The steps by which the source was made smaller, such as `net.keras: channels -50% (top1 97.1%), cluster 16`."""
    from edgewright.metrics import to_show

    def step(one: LineageStep) -> str:
        return (
            one.shown if one.metric is None else f"{one.shown} ({to_show(lineage.metric).shown(one.metric)})"
        )

    before = (
        ""
        if lineage.original is None
        else f" ({lineage.metric} {to_show(lineage.metric).shown(lineage.original)})"
    )
    return f"{lineage.file}{before}: {', '.join(map(step, lineage.steps))}"


def data_rows(artifact: Artifact) -> list[tuple[str, str]]:
    """Rows for what the calibration data show about each input, and what the goldens cover."""
    from edgewright.compile.data import class_coverage, input_ranges

    manifest = artifact.manifest
    known = zip(manifest.inputs, manifest.calibration.ranges, strict=False)
    rows = [
        (f"input {spec.name}", f"{input_ranges.text(found)} in the calibration data") for spec, found in known
    ]
    covered = class_coverage.described(artifact.folder, manifest)
    return [*rows, *([("goldens", "; ".join(covered))] if covered else [])]


def accuracy_text(manifest: Manifest, accuracy: Accuracy) -> str:
    """The accuracy of an artifact compared with its source's, for people."""
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
    """How the ranges were fixed, for people."""
    return {"data": f"{samples} samples", "synthetic": "synthetic: answers on real inputs are unknown"}.get(
        kind, "-"
    )
