"""Refuses an option that is given twice but takes one value: the first value would be dropped silently."""

from __future__ import annotations

from typing import Any

import click


def refuse_repeated(command: click.Command) -> None:
    """Makes a command and its sub-commands refuse repeated options."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            refuse_repeated(below)
    made = command.make_parser

    def make_parser(context: click.Context) -> Any:
        parser = made(context)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            found = parse(args=args)
            check(found[2], context)
            return found

        parser.parse_args = parse_args  # type: ignore[method-assign]
        return parser

    command.make_parser = make_parser  # type: ignore[method-assign,assignment]


def check(order: list[click.Parameter], context: click.Context) -> None:
    """Raises UsageError for a repeated option. A flag without an opposite may be repeated."""
    seen = set()
    for parameter in order:
        if not isinstance(parameter, click.Option) or parameter.multiple or parameter.count:
            continue
        if parameter in seen and (not parameter.is_flag or parameter.secondary_opts):
            raise click.UsageError(f"{parameter.opts[0]} is given twice, and counts once", context)
        seen.add(parameter)
