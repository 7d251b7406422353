"""An empty one-file Typer app: the least that any command line made with Typer costs.

`python bare_typer.py [--rich] deploy --help`; with `--rich` the help is formatted as Typer does by default.
"""

from __future__ import annotations

import sys

import typer

RICH = "--rich" in sys.argv
if RICH:
    sys.argv.remove("--rich")
app = typer.Typer() if RICH else typer.Typer(rich_markup_mode=None)


@app.command()
def deploy(model: str, to: str = "all", precision: str = "int8", dry_run: bool = False) -> None:
    """Do nothing."""


@app.command()
def rollback(name: str, to: str = "") -> None:
    """Do nothing either."""


if __name__ == "__main__":
    app()
