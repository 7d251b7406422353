"""edgewright cache: lists and prunes cached artifacts, wheels and logs."""

from __future__ import annotations

from typing import Annotated

import typer

from edgewright.cli import options, render

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="List and prune cached artifacts, wheels and logs."
)
LIMIT_HELP = "Keep at most this much, such as 500M or 10G; default $EDGEWRIGHT_CACHE_SIZE or 10G."


@app.command(name="list")
def list_(as_json: options.JSON = False, debug: options.DEBUG = False) -> None:
    """List artifacts, evaluation sets, wheels and logs, the most recently used first."""
    from edgewright.store import cache

    found = cache.entries()
    total = sum(entry.size for entry in found)
    if as_json:
        from edgewright.cli.results.cache import CacheEntry, CacheListResult

        rows = tuple(
            CacheEntry(
                kind=entry.kind, name=entry.name, path=entry.path, size=entry.size, used=entry.used,
                detail=cache.described(entry),
            )
            for entry in found
        )  # fmt: skip
        render.result("cache list", CacheListResult(entries=rows, bytes=total))
        return
    render.table(
        "",
        ["kind", "name", ">size", ">unused for", "what"],
        [
            (entry.kind, entry.name[:24], render.size(entry.size), _age(entry.used), cache.described(entry))
            for entry in found
        ],
    )
    render.line(f"{len(found)} entries, {render.size(total)}")
    render.ending("`edgewright cache prune` removes what was not used for long")


@app.command()
def prune(
    max_size: Annotated[str | None, typer.Option("--max-size", metavar="SIZE", help=LIMIT_HELP)] = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than", metavar="AGE", help="Also remove entries not used for this long, such as 30d."
        ),
    ] = None,
    dry_run: options.DRY_RUN = False,
    as_json: options.JSON = False,
    debug: options.DEBUG = False,
) -> None:
    """Remove the least recently used entries; those that a running edgewright uses stay."""
    from edgewright.store import cache

    age = None if older_than is None else cache.parse_age(older_than)
    if max_size is not None:
        limit: int | None = cache.parse_size(max_size)
    else:
        limit = cache.limit() if older_than is None else None
    done = cache.prune(max_bytes=limit, older_than_s=age, dry_run=dry_run)
    if as_json:
        from edgewright.cli.results.cache import CachePruneResult

        pruned = CachePruneResult(
            dry_run=dry_run,
            removed_entries=done.removed,
            busy_entries=done.in_use,
            removed_bytes=done.removed_bytes,
            kept_count=done.kept,
            kept_bytes=done.kept_bytes,
        )
        render.result("cache prune", pruned)
        return
    verb = "would remove" if dry_run else "removed"
    for entry in done.removed:
        render.line(f"{verb} {entry.kind} {entry.name[:24]}, {render.size(entry.size)}")
    for entry in done.in_use:
        render.line(f"in use: {entry.kind} {entry.name[:24]}, {render.size(entry.size)}")
    render.line(
        f"{verb} {len(done.removed)} entries, {render.size(done.removed_bytes)}; "
        f"{done.kept} are left, {render.size(done.kept_bytes)}"
    )
    if dry_run:
        render.ending("nothing was removed: leave --dry-run out to do it")
    elif done.in_use:
        render.ending("what is in use stays: run it again when the other edgewright is done")
    elif done.kept:
        render.ending("`edgewright cache list` shows what is left; --max-size or --older-than removes more")
    else:
        render.ending("the cache is empty: the next conversion fills it")


def _age(used: float) -> str:
    """How long ago an entry was used, for people."""
    import time

    seconds = max(0.0, time.time() - used)
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
