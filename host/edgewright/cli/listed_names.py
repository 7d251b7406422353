"""Fills the names of records, including those of plug-ins, into help texts; reads them only when help is shown."""

from __future__ import annotations

from collections.abc import Callable

import click

Record = Callable[[click.Context], tuple[str, str] | None]
# placeholder in a help text -> the entry points of the records, and their folder
LISTED = {
    "{metrics}": ("edgewright.metrics", "edgewright.metrics"),
    "{precisions}": ("edgewright.precisions", "edgewright.precisions"),
}


def fill_when_shown(command: click.Command) -> None:
    """Makes a command's help list the available records wherever it has a placeholder."""
    for option in command.params:
        words = [word for word in LISTED if word in (getattr(option, "help", None) or "")]
        if words and isinstance(option, click.Option):
            option.get_help_record = _record_of(option, words)  # type: ignore[method-assign,assignment]


def _record_of(option: click.Option, words: list[str]) -> Record:
    plain = option.get_help_record

    def record(ctx: click.Context) -> tuple[str, str] | None:
        from edgewright.record_names import names_of

        for word in words:
            option.help = (option.help or "").replace(word, ", ".join(names_of(*LISTED[word])))
        return plain(ctx)

    return record
