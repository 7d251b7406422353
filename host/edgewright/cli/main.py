"""The command line: finds the command, runs it, and turns every error into one line, a hint and an exit code."""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import sys
import threading
from typing import Any

import click
import typer
from typer.core import TyperGroup

from edgewright.cli import output, signals
from edgewright.cli.repeated_options import refuse_repeated
from edgewright.errors import Code, EdgewrightError, Exit, InternalError

# Commands in the order of the help. A command's module is imported only when that command runs, so that `--help` never
# imports frameworks, paramiko or numpy.
COMMANDS = {
    "demo": "Run the main job on simulated boards",
    "init": "Write edgewright.toml for a model",
    "compress": "Make a network smaller and keep its accuracy",
    "convert": "Compile a model for a profile and verify its outputs",
    "export": "Write an artifact as a C program for applications without Python",
    "optimize": "Make a model fit a budget of size, latency and accuracy",
    "fleet": "Add, list, show, trust and remove boards",
    "doctor": "Describe boards, and list what stops a deployment",
    "provision": "Install a runtime on boards that have no internet",
    "deploy": "Convert a model, ship it, measure it on boards, activate or refuse it",
    "infer": "Run one input on a board",
    "bench": "Measure latency and memory on boards",
    "rollback": "Reactivate a known-good release",
    "status": "Show what runs on the boards",
    "history": "List deployments, refusals and rollbacks",
    "logs": "Print the agent's log of a board",
    "profiles": "List and show kinds of boards",
    "targets": "List the runtimes that models are compiled for",
    "toolchain": "Install, list and remove converters that need another Python",
    "cache": "List and prune cached artifacts, wheels and logs",
    "lab": "Start, list and stop simulated boards on this machine",
}


class LazyGroup(TyperGroup):
    """A group whose commands are modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names of the commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command with this name, whose module is imported now; None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        from edgewright.cli.listed_names import fill_when_shown

        module = importlib.import_module(f"edgewright.cli.commands.{cmd_name}")
        module.app._add_completion = False  # only the program itself has these options
        command = typer.main.get_command(module.app)
        fill_when_shown(command)
        refuse_repeated(command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """As in click, but turns a Ctrl-C into an Abort: typer would exit with 130."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.Abort from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Writes the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As in click, but suggests the nearest command for an unknown one."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean `{near[0]}`?" if near else "`edgewright --help` lists the commands"
            raise click.UsageError(f"no such command: {args[0]}; {hint}", ctx)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=LazyGroup,
    name="edgewright",
    help="Take a trained model to a fleet of edge boards, measure it there, keep it or roll it back.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(value: bool) -> None:
    """Prints the version and exits."""
    if value:
        from edgewright import __version__

        typer.echo(f"edgewright {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: bool = typer.Option(
        False, "--version", callback=show_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Take a trained model to a fleet of edge boards, measure it there, keep it or roll it back."""


def run(arguments: list[str] | None = None) -> None:
    """Runs a command line to its end, which is always SystemExit."""
    argv = sys.argv[1:] if arguments is None else arguments
    output.guard()
    signals.watch()
    try:
        code = signals.exit_code(main(argv))
    except KeyboardInterrupt:  # stopped again while it was reporting the first stop
        code = int(Exit.ABORTED)
    signals.over()
    if any(thread.name.startswith("board") for thread in threading.enumerate()):
        leave(code)
    sys.exit(code)


def program() -> None:
    """Entry point of the `edgewright` program: `run`, without the last garbage collection, which takes longer than the exit."""
    try:
        run()
    finally:
        gc.freeze()


def leave(code: int) -> None:
    """Exits at once, even if threads still work on boards: the user stopped the command twice."""
    import os

    sys.stderr.flush()
    if sys.stdin.isatty():
        import termios

        with contextlib.suppress(termios.error):  # the terminal may be gone
            modes = termios.tcgetattr(sys.stdin)
            modes[3] |= termios.ECHO  # a password prompt may have been open
            termios.tcsetattr(sys.stdin, termios.TCSANOW, modes)
    os._exit(code)


def main(argv: list[str]) -> int:
    """Runs one command line; returns its exit code."""
    code = int(Exit.OK)
    try:
        code = run_command(argv)
        sys.stdout.flush()
    except output.OutputError as error:
        output.discard()
        asked_for_help = not {"--help", "-h"}.isdisjoint(argv)
        return say(argv, error if asked_for_help else error.of(command_of(argv)), code or Exit.ERROR)
    return code


def run_command(argv: list[str]) -> int:
    """Runs one command line; returns its exit code, whatever it raises. Its output may still be in a buffer."""
    try:
        result = typer.main.get_command(app).main(args=argv, prog_name="edgewright", standalone_mode=False)
        return int(result) if isinstance(result, int) else Exit.OK
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except (click.Abort, KeyboardInterrupt):
        return aborted(argv)
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(error.format_message() + "\n")
        return Exit.USAGE
    except click.UsageError as error:
        usage = EdgewrightError(lower(error.format_message()), hint=help_hint(error), code=Code.USAGE)
        return say(argv, usage, Exit.USAGE)
    except output.OutputError:
        raise
    except EdgewrightError as error:
        if "--debug" in argv:
            raise
        return say(argv, error, error.exit_code)
    except OSError as error:
        return unusable(argv, error)
    except Exception as error:  # noqa: BLE001 - reported as a bug
        return crashed(argv, error)


def aborted(argv: list[str]) -> int:
    """Reports that the user or a signal stopped the command."""
    what = f"stopped by {signals.stopped() or 'the user'}"
    return say(argv, EdgewrightError(what, hint="run it again to continue", code=Code.ABORTED), Exit.ABORTED)


def unusable(argv: list[str], error: OSError) -> int:
    """Reports a file that cannot be read or written; an error without a file is a bug, unless the disk is full."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    if "--debug" in argv or not (error.filename or full):
        return crashed(argv, error)
    text = (error.strerror or "not usable").lower() + (f": {error.filename}" if error.filename else "")
    hint = (
        "free some space on the disks of the state folder ($EDGEWRIGHT_HOME) and of temporary files ($TMPDIR)"
        if full
        else "check the path and its permissions"
    )
    return say(argv, EdgewrightError(text, hint=hint, code=Code.IO), Exit.ERROR)


def crashed(argv: list[str], error: Exception) -> int:
    """Reports an unexpected error; with --debug, raises it."""
    if "--debug" in argv:
        raise error
    text = f"internal error: {type(error).__name__}: {error}".splitlines()[0]
    return say(argv, InternalError(text, hint="this is a bug; --debug shows where"), Exit.ERROR)


def say(argv: list[str], error: EdgewrightError, exit_code: int) -> int:
    """Reports an error: as JSON on stdout if the user asked for JSON, else on stderr."""
    from edgewright.cli import render

    render.error(error, json_of=command_of(argv) if "--json" in argv else None)
    return int(exit_code)


def command_of(argv: list[str]) -> str:
    """The command that a command line names, such as `fleet list`; empty if it names none."""
    from edgewright.cli.results import RECORDS

    words = [word for word in argv if not word.startswith("-")][:2]
    known = [name for name in (" ".join(words), *words[:1]) if name in RECORDS]
    return known[0] if known else ""


def help_hint(error: click.UsageError) -> str:
    """A hint that names the help to read."""
    path = error.ctx.command_path if error.ctx else "edgewright"
    return f"see `{path} --help`"


def lower(text: str) -> str:
    """A message in this project's form: a lower-case first letter, no full stop."""
    return (text[:1].lower() + text[1:]).rstrip(".")
