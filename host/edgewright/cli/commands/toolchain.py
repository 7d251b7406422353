"""edgewright toolchain: installs, lists and removes converters that need a separate Python environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli import options, render

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="Install, list and remove converters that need another Python.",
)
NAME = Annotated[str, typer.Argument(metavar="NAME", help="A toolchain: see `edgewright toolchain list`.")]


@app.command()
def install(
    name: NAME,
    python: Annotated[
        Path | None,
        typer.Option("--python", metavar="PATH", help="Python to build with; default: the newest that fits."),
    ] = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Build a toolchain, unless it is ready."""
    from edgewright.cli.progress import shown
    from edgewright.cli.results.toolchain import ToolchainInstallResult
    from edgewright.compile.toolchains import environments

    row = environments.toolchain(name)
    before = environments.describe(name)
    if dry_run:
        chosen = environments.choose_python(row, python)
        if as_json:
            planned = ToolchainInstallResult(
                dry_run=True, toolchain=before, python=chosen, requirements=row.requirements
            )
            render.result("toolchain install", planned)
            return
        render.line(f"{name} is {before.state}; it would be made in {before.folder}")
        render.line(f"with Python {chosen.version}, {chosen.path}: about {row.megabytes} MiB")
        for requirement in row.requirements:
            render.line(f"  {requirement}")
        render.ending("nothing was installed: leave --dry-run out to do it")
        return
    with shown() as progress:
        made = environments.install(name, python, progress)
    if as_json:
        render.result(
            "toolchain install", ToolchainInstallResult(changed=before.state != "ready", toolchain=made)
        )
        return
    was = "was there already" if before.state == "ready" else "is installed"
    render.line(f"toolchain {name} {was}: Python {made.python}, {made.folder}")
    render.ending(f"conversions that need it use it; `edgewright toolchain remove {name}` frees its space")


@app.command("list")
def list_toolchains(as_json: options.JSON = False, debug: options.DEBUG = False) -> None:
    """List the toolchains, and which are installed."""
    from edgewright.compile.toolchains import environments

    found = environments.listing()
    if as_json:
        from edgewright.cli.results.toolchain import ToolchainListResult

        render.result("toolchain list", ToolchainListResult(toolchains=tuple(found)))
        return
    rows = [
        (one.name, one.title, environments.spoken(one.pythons), one.state, one.python or "-") for one in found
    ]
    render.table("", ["toolchain", "for", "Pythons", "state", "installed with"], rows)
    render.ending("`edgewright toolchain install NAME` installs one; a conversion that needs it says so")


@app.command()
def remove(
    name: NAME,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Remove a toolchain."""
    from edgewright.compile.toolchains import environments

    place = environments.describe(name).folder
    gone = place.is_dir() if dry_run else environments.remove(name)
    if as_json:
        from edgewright.cli.results.toolchain import ToolchainRemoveResult

        removed = (name,) if gone else ()
        render.result("toolchain remove", ToolchainRemoveResult(dry_run=dry_run, removed_toolchains=removed))
        return
    verb = "would remove" if dry_run else "removed"
    render.line(f"{verb} {place}" if gone else f"toolchain {name} is not installed")
    if gone and dry_run:
        render.ending("nothing was removed: leave --dry-run out to do it")
    else:
        render.ending(f"`edgewright toolchain install {name}` installs it")
