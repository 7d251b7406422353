"""edgewright profiles: lists and shows kinds of boards."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli import options, render

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="List and show kinds of boards.")


@app.command("list")
def list_profiles(as_json: options.JSON = False, debug: options.DEBUG = False) -> None:
    """List the profiles."""
    from edgewright.cli.views.plugin_faults import show_faults
    from edgewright.config import profiles

    found = [profiles.load(name) for name in profiles.names()]
    show_faults(profiles.PLUGINS)
    if as_json:
        from edgewright.cli.results.kinds import ProfilesListResult

        render.result("profiles list", ProfilesListResult(profiles=tuple(found)))
        return
    render.table(
        "",
        ["profile", "board", ">RAM MiB", "targets", "precision", "accelerators", "run on hardware"],
        [
            (
                profile.name, profile.title, profile.memory_mb, ", ".join(profile.targets), profile.precision,
                ", ".join(profile.accelerators) or "-", "yes" if profile.hardware else "not yet",
            )
            for profile in found
        ],
        spare=("run on hardware", ">RAM MiB", "precision"),
    )  # fmt: skip
    render.ending("`edgewright profiles show NAME` shows all of one; a board's facts decide which it gets")


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="PROFILE")],
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Show one profile."""
    import msgspec

    from edgewright.config import profiles

    profile = profiles.load(name)
    if as_json:
        from edgewright.cli.results.kinds import ProfilesShowResult

        render.result("profiles show", ProfilesShowResult(profile=profile))
        return
    rows = []
    for key, value in msgspec.to_builtins(profile).items():
        shown = "\n".join(map(str, value)) if isinstance(value, list | tuple) and key == "notes" else value
        rows.append((key, ", ".join(map(str, shown)) if isinstance(shown, list | tuple) else shown))
    for key, value in rows:
        render.line(f"{key:<14} {value}" if "\n" not in str(value) else f"{key}:")
        if "\n" in str(value):
            render.text("\n".join(f"  - {row}" for row in str(value).splitlines()))
    render.ending(
        f"`edgewright convert MODEL --profile {name}` converts for it; `edgewright lab up --profile {name}` simulates it"
    )
