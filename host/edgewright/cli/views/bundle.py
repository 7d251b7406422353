"""Writes, shows and imports bundles on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgewright.cli import render

INSTALLS = "`edgewright provision SELECTOR --bundle {}` installs it on boards"

if TYPE_CHECKING:
    from edgewright.cli.results.provision import BundleResult
    from edgewright.runtimes.bundle.bundle_format import Contents
    from edgewright.runtimes.bundle.plan import Plan
    from edgewright.runtimes.resolve import Offer


def write(
    path: Path,
    profile: str,
    names: Sequence[str],
    version: str | None,
    pythons: Sequence[str],
    archs: Sequence[str],
    glibc: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Writes a bundle for boards of a profile, or prints what would go into it."""
    from edgewright.cli.progress import shown
    from edgewright.config import profiles
    from edgewright.runtimes.bundle import archive, plan

    planned = plan.plan(
        profiles.load(profile), pythons=pythons, archs=archs, names=names, glibc=glibc, version=version
    )
    written: Contents | None = None
    if not dry_run:
        with shown() as progress:
            kits, wheels = plan.fetch(planned.wanted, progress)
            written = archive.write(path, kits, wheels, progress)
    if as_json:
        from edgewright.cli.results.provision import ProvisionResult

        render.result("provision", ProvisionResult(dry_run=dry_run, bundle=record(path, written, planned)))
        return
    show(path, planned, written)


def show(path: Path, plan: Plan, written: Contents | None) -> None:
    """Prints a bundle for people: a row per runtime, what is missing, what the boards must have, and the size."""
    from edgewright.runtimes.compatibility import INSTALL_NUMPY

    rows = [
        (
            one.target,
            f"{one.row.distribution} {one.row.version}",
            one.python,
            one.arch,
            one.glibc,
        )
        for one in plan.wanted
    ]
    render.table("", ["target", "runtime", "python", "architecture", "for glibc"], rows)
    for one in plan.missing:
        render.line(f"not in it: {one.target} for Python {one.python} on {one.arch}: {one.message}")
    for arch, own in sorted({(one.arch, text) for one in plan.wanted for text in one.row.own}):
        render.line(f"not in it: {own} for {arch}, which the boards must have: {INSTALL_NUMPY}")
    if written is None:
        render.line(f"would write {path}")
        render.ending("nothing was written: leave --dry-run out to do it")
    else:
        render.line(f"wrote {path}: {len(written.wheels)} wheels, {render.size(path.stat().st_size)}")
        render.ending(INSTALLS.format(path))


def contents(path: Path, *, as_json: bool) -> None:
    """Reads the contents of a bundle and verifies each wheel."""
    from edgewright.runtimes.bundle import archive

    found = archive.verified(path)
    if as_json:
        from edgewright.cli.results.provision import ProvisionResult

        render.result("provision", ProvisionResult(bundle=record(path, found)))
        return
    rows = [
        (kit.target, f"{kit.distribution} {kit.version}", kit.python, kit.arch, kit.glibc)
        for kit in found.kits
    ]
    render.table("", ["target", "runtime", "python", "architecture", "for glibc"], rows)
    render.line(
        f"{path}: {len(found.wheels)} wheels, {render.size(path.stat().st_size)}, every sha256 is right"
    )
    render.ending(INSTALLS.format(path))


def record(path: Path, found: Contents | None, plan: Plan | None = None) -> BundleResult:
    """A bundle for JSON. `found`: its contents, if there is a file. `plan`: the plan of a bundle to write."""
    from edgewright.cli.results.provision import BundledWheel, BundleResult, PlannedRuntime

    wheels = found.wheels.items() if found else ()
    return BundleResult(
        path=path,
        size=path.stat().st_size if found else None,
        kits=found.kits if found else (),
        wheels=tuple(BundledWheel(file=file, sha256=one.sha256, size=one.size) for file, one in wheels),
        planned_runtimes=tuple(
            PlannedRuntime(
                target=one.target, distribution=one.row.distribution, version=one.row.version, python=one.python,
                arch=one.arch, glibc=one.glibc, own=one.row.own,
            )
            for one in (plan.wanted if plan else ())
        ),
        missing_runtimes=plan.missing if plan else (),
    )  # fmt: skip


def offer(path: Path, *, dry_run: bool) -> Offer:
    """Imports a bundle's wheels into the store and returns its runtimes; a dry run only verifies the wheels."""
    from edgewright.cli.progress import shown
    from edgewright.runtimes.bundle import archive
    from edgewright.runtimes.resolve import Offer

    if dry_run:
        found = archive.verified(path)
        return Offer(title=path.name, kits=found.kits, inside=archive.inside(path, found))
    with shown() as progress:
        found = archive.take_in(path, progress)
    return Offer(title=path.name, kits=found.kits)
