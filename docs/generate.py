"""Writes the parts of the documentation that come from the code: commands, targets, profiles, the wire, error codes.

`python docs/generate.py` writes, `--check` only reports what is out of date (and then exits with 1).
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ["COLUMNS"] = os.environ["TERMINAL_WIDTH"] = "100"

import click
import json_schema
import rooms
import typer

from edgewright import targets
from edgewright.cli.main import COMMANDS, app
from edgewright.compile import route_matrix
from edgewright.config import profiles
from edgewright.errors import Exit
from edgewright.precisions import PRECISIONS
from edgewright.runtimes import compatibility
from edgewright.runtimes.wheel_tags import WheelHost

FOLDER = Path(__file__).parent
ARCHITECTURE = FOLDER.parent / "ARCHITECTURE.md"
NOTICE = "<!-- written by `make docs` from the code: do not edit -->\n\n"


def help_of(command: click.Command, path: list[str]) -> list[str]:
    """A command's help and that of its subcommands, as Markdown."""
    name = " ".join(path)
    with click.Context(command, info_name=name, terminal_width=100, max_content_width=100) as context:
        blocks = [f"## {name}\n\n```text\n{command.get_help(context)}\n```\n"]
        if isinstance(command, click.Group) and len(path) > 1:
            for sub in command.list_commands(context):
                found = command.get_command(context, sub)
                assert found is not None  # noqa: S101 - it was listed
                blocks += help_of(found, [*path, sub])
    return blocks


def commands() -> str:
    """docs/commands.md."""
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)  # noqa: S101 - the app is a group
    blocks = help_of(group, ["edgewright"])
    context = click.Context(group, info_name="edgewright")
    for name in COMMANDS:
        found = group.get_command(context, name)
        assert found is not None  # noqa: S101 - it was listed
        blocks += help_of(found, ["edgewright", name])
    codes = "\n".join(f"| {int(code)} | {MEANINGS[code]} |" for code in Exit)
    head = f"# Commands\n\n{NOTICE}Results go to stdout, progress and notes to stderr. `--json` prints one document.\n\n"
    return head + f"| exit code | meaning |\n|---|---|\n{codes}\n\n" + "\n".join(blocks)


MEANINGS = {
    Exit.OK: "all well",
    Exit.ERROR: "error",
    Exit.SOME_FAILED: "some boards failed, or a gate refused",
    Exit.UNREACHABLE: "some boards unreachable, and none failed",
    Exit.ABORTED: "aborted, or stopped by the stop rule",
    Exit.USAGE: "bad usage",
}


def edge_tables() -> list[str]:
    """The possible conversions: an overview, then every route with its precisions, stages and toolchains."""
    cells = route_matrix.cells()
    rows = ["## What can be converted to what\n"]
    rows.append("| source | " + " | ".join(targets.names()) + " |")
    rows.append("|---|" + "---|" * len(targets.names()))
    for source in route_matrix.sources():
        marks = [mark(cell) for cell in cells if cell.source == source]
        rows.append(f"| {source} | " + " | ".join(marks) + " |")
    rows.append("\n`as-is` is the source's own file unchanged. A stage is worker:target.module.\n")
    rows.append("| source | target | precisions | stages | toolchain |\n|---|---|---|---|---|")
    for cell in cells:
        if cell.precisions:
            stages = ", ".join(f"`{stage}`" for stage in cell.stages)
            precisions, toolchains = ", ".join(cell.precisions), ", ".join(cell.toolchains) or "-"
            rows.append(f"| {cell.source} | {cell.target} | {precisions} | {stages} | {toolchains} |")
    return rows


def mark(cell: route_matrix.Cell) -> str:
    """A cell of the overview."""
    if not cell.precisions:
        return "no"
    return "as-is" if cell.precisions == ("as-is",) else "yes"


def target_tables() -> str:
    """docs/targets.md."""
    rows = [f"# Targets\n\n{NOTICE}"]
    rows += edge_tables()
    rows.append(
        "\n## Precisions\n\n| precision | is | SQNR at least | relative error at most |\n|---|---|---|---|"
    )
    for precision in sorted(PRECISIONS.own(), key=lambda one: -one.tolerance.sqnr_db):  # most exact first
        tolerance = precision.tolerance
        rows.append(
            f"| `{precision.name}` | {precision.title} | {tolerance.sqnr_db:g} dB | {tolerance.relative:g} |"
        )
    rows.append("\n## Runtimes that are provisioned\n")
    for name in targets.names():
        target = targets.load(name)
        rows.append(f"### {target.title} (`{name}`)\n")
        if not target.runtimes:
            rows.append("None: it is part of the board's own system, see [jetson.md](jetson.md).\n")
            continue
        rows.append("| wheel | Python | architectures | glibc | needs |\n|---|---|---|---|---|")
        for row in target.runtimes:
            needs = ", ".join([*row.requires, *(f"the board's own {one}" for one in row.own)])
            rows.append(
                f"| {row.distribution} {row.version} | {row.python} | {', '.join(row.archs)} | {row.glibc} or newer | {needs} |"
            )
        rows.append("")
    return "\n".join(rows).rstrip() + "\n\n" + side_by_side()


def side_by_side() -> str:
    """The section on size and speed, from the results of `benchmarks/bench_targets.py`; states if there are none."""
    sys.path.insert(0, str(FOLDER.parent / "benchmarks"))
    from side_by_side import page

    return page.section()


def ahead_of_time() -> str:
    """docs/ahead-of-time.md, from the results of the same benchmark; states if there are none."""
    sys.path.insert(0, str(FOLDER.parent / "benchmarks"))
    from side_by_side import ahead_of_time as found

    return found.page().replace("\n", f"\n\n{NOTICE.strip()}\n", 1)


def board_table() -> str:
    """docs/boards.md: the support table."""
    rows = [
        f"# Boards\n\n{NOTICE}`edgewright profiles show NAME` shows all of one.\n",
        "| profile | board | targets | default precision | run on hardware |\n|---|---|---|---|---|",
    ]
    for name in profiles.names():
        one = profiles.load(name)
        tried = "yes" if one.hardware else "not run on hardware"
        rows.append(f"| `{name}` | {one.title} | {', '.join(one.targets)} | {one.precision} | {tried} |")
    rows.append(
        "\nWhat ran on emulated Arm boards, and how near to x86 its answers were: [emulated.md](emulated.md)."
    )
    return "\n".join(rows) + "\n"


# Common systems on boards: title, Python, architecture of the userland, libc and its version.
SYSTEMS = [
    ("Raspberry Pi OS Bullseye, 64-bit", "3.9", "aarch64", "glibc", "2.31"),
    ("Raspberry Pi OS Bullseye, 32-bit", "3.9", "armv7l", "glibc", "2.31"),
    ("Raspberry Pi OS Bookworm, 64-bit", "3.11", "aarch64", "glibc", "2.36"),
    ("Raspberry Pi OS Bookworm, 32-bit", "3.11", "armv7l", "glibc", "2.36"),
    ("Raspberry Pi OS Bookworm, Pi 1 and Zero", "3.11", "armv6l", "glibc", "2.36"),
    ("Raspberry Pi OS Trixie, 64-bit", "3.13", "aarch64", "glibc", "2.41"),
    ("Raspberry Pi OS Trixie, 32-bit", "3.13", "armv7l", "glibc", "2.41"),
    ("JetPack 4", "3.6", "aarch64", "glibc", "2.27"),
    ("JetPack 5", "3.8", "aarch64", "glibc", "2.31"),
    ("JetPack 6", "3.10", "aarch64", "glibc", "2.35"),
    ("Ubuntu 20.04", "3.8", "x86_64", "glibc", "2.31"),
    ("Ubuntu 22.04", "3.10", "x86_64", "glibc", "2.35"),
    ("Ubuntu 24.04", "3.12", "x86_64", "glibc", "2.39"),
    ("Debian 12", "3.11", "x86_64", "glibc", "2.36"),
    ("Debian 13", "3.13", "x86_64", "glibc", "2.41"),
    ("Alpine", "3.12", "aarch64", "musl", "1.2"),
]


def system_table() -> str:
    """The runtimes that `provision` installs on common systems."""
    names = [name for name in targets.names() if targets.load(name).runtimes]
    head = " | ".join(names)
    rows = [
        "\n## Which runtime a system gets\n",
        "The best wheel of each target for a system with this Python, `-` if there is none. ¹ There is no wheel of numpy for 32-bit",
        "Arm: the system's own is used (`sudo apt install python3-numpy`). Bullseye's, 1.19.5, is too old: ncnn runs there.\n",
        f"| system | Python | userland | libc | {head} |\n|---|---|---|---|{'---|' * len(names)}",
    ]
    for title, python, arch, libc, version in SYSTEMS:
        host = WheelHost(python=python, arch=arch, libc=libc, libc_version=version)
        cells = []
        for name in names:
            best = next(iter(compatibility.rows(targets.load(name), host)), None)
            cells.append(
                "-" if best is None else f"{best.distribution} {best.version}{' ¹' if best.own else ''}"
            )
        rows.append(f"| {title} | {python} | {arch} | {libc} {version} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def old_python_table() -> str:
    """What the tests do with the runtimes for old Pythons, as they say themselves."""
    sys.path.insert(0, str(FOLDER.parent / "tests" / "kit"))
    import old_pythons

    archs = ("x86_64", *old_pythons.FOREIGN)
    cells = {(one.python, one.arch, one.target): one for one in old_pythons.wheels(archs)}
    rows = [
        "\n## Old Pythons\n",
        "*Run here*: the tests deploy a model to a board with a real Python of this version on x86. *Resolved and unpacked*: there is no such Python for",
        "this architecture here, so the tests only resolve the wheels, have the agent unpack them under that Python on x86, and check that their libraries are for the",
        "architecture and need no newer glibc than the [table of runtimes](targets.md#runtimes-that-are-provisioned) says. **These have not been loaded.**\n",
        "| Python | target | runtime | " + " | ".join(archs) + " |\n|---|---|---|" + "---|" * len(archs),
    ]
    for python in old_pythons.OLD:
        for target in targets.names():
            found = [cells.get((python, arch, target)) for arch in archs]
            titles = dict.fromkeys(f"{one.row.distribution} {one.row.version}" for one in found if one)
            if titles:
                states = " | ".join(one.state if one else "-" for one in found)
                rows.append(f"| {python} | {target} | {', '.join(titles)} | {states} |")
    return "\n".join(rows) + "\n"


def truth_page() -> dict[str, str]:
    """docs/truth.md, from the results of `benchmarks/bench_truth.py`; states if there are none."""
    sys.path.insert(0, str(FOLDER.parent / "benchmarks"))
    from truth import page

    return {"truth.md": page.text() if page.RESULTS.exists() else page.UNMEASURED}


def compression_page() -> dict[str, str]:
    """docs/compression.md, from the results of `benchmarks/bench_compression.py`; states if there are none."""
    sys.path.insert(0, str(FOLDER.parent / "benchmarks"))
    from compression_bench import page

    return {"compression.md": page.text() if page.RESULTS.exists() else page.UNMEASURED}


def wire_pages() -> dict[str, str]:
    """docs/wire.md, with its commands from the code, and docs/errors.md."""
    sys.path.insert(0, str(FOLDER))
    import wire_pages as made

    return made.pages(FOLDER, NOTICE)


def dead_links(folder: Path = FOLDER) -> list[str]:
    """`page: link` for each link from a page to a missing file."""
    pages = [*sorted(folder.glob("*.md")), *sorted(folder.parent.glob("[A-Z]*.md"))]
    return [
        f"{page.name}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / link).exists()
    ]


def main() -> int:
    """Writes or checks the pages; returns the exit code."""
    pages = {
        **truth_page(),
        **compression_page(),
        **wire_pages(),
        "commands.md": commands(),
        "json.md": json_schema.page(json_schema.schema()),
        "json-schema.json": json_schema.text(),
        "modules.md": rooms.modules(),
        "../ARCHITECTURE.md": rooms.architecture(ARCHITECTURE.read_text()),
        "targets.md": target_tables(),
        "ahead-of-time.md": ahead_of_time(),
        "boards.md": board_table() + system_table() + old_python_table(),
    }
    stale = [
        name
        for name, text in pages.items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text() != text
    ]
    if "--check" in sys.argv:
        for name in stale:
            sys.stderr.write(f"error: docs/{name} is not up to date\nhint: make docs\n")
        dead = dead_links()
        for link in dead:
            sys.stderr.write(f"error: docs/{link} does not exist\nhint: fix the link, or write the page\n")
        undocumented = rooms.unnamed()
        for name in undocumented:
            sys.stderr.write(
                f"error: {name} has no docstring\nhint: its first line is shown in docs/modules.md\n"
            )
        return 1 if stale or dead or undocumented else 0
    for name in stale:
        (FOLDER / name).write_text(pages[name])
        sys.stderr.write(f"wrote docs/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
