"""Finds words and phrases that docs/style.md asks to avoid, in comments, strings, docstrings and pages.

`python tools/prose.py` checks the repository, `python tools/prose.py PATH...` these files or folders. Exits with 1 if it finds any.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# "a kernel of its own" is found, "the limits of its own kernel" is not.
AT_THE_END = (
    r"(?! (?!(?:and|or|with|for|in|on|where|that|which|to|at|from|so|by|until|when|is|was|has|as)\b)[a-z])"
)
# A phrase (a regular expression, matched at word boundaries, in any case) and what to write instead.
PHRASES = {
    "told": "reported, known, given",
    "said": "reported, stated, given",
    "mend(s|ed|ing)?": "fix",
    "anew": "again, from scratch",
    "alike": "the same, equally",
    "beside(s)? (that|what|one another|each other)": "also, in addition, next to each other",
    "of ours": "our",
    "(need|needs) not( be)?": "does not have to, is not needed",
    "without a word": "silently",
    "called so": "named",
    rf"of (its|their|his|her|our|one's) own{AT_THE_END}": "its own X, a separate X",
    "for the sake of": "for, so that",
    "(is|are) there to": "can",
    "nobody is": "there is no one, nothing",
    "as wished": "as expected",
    "made again": "rebuilt, recreated",
    "go(es)? ahead without": "continues without",
    "in the whole": "in total",
    "that of ours": "our",
    "by and by": "gradually",
    "so as (not )?to": "to",
    "thereupon|thereby|herewith|hereby|whereupon": "then, with this",
}
# The same, for rooms that have been rewritten.
ALSO = {
    r"(at most|after|for|with|by|of) so (many|much|long|large|often)": "this many, N of them",
    "so (many|much|large|long) (as|bytes|samples|seconds|classes|places|digits|values)": "this many, N of them",
    "what of (it|the|them|a|its|an)": "the part of it that",
    "(a|one) (bias|colon|figure|file|folder|line|member|name|number|process|row|scale|score|share|step|text|thread|verdict) "
    "an? (axis|board|channel|class|event|format|golden|group|image|inference|input|kind|layer|line|model|output|release|round|"
    "row|sample|session|target|wheel)": "one X per Y",
    "each once": "without duplicates",
    "for a person": "for people",
    "takes? the place of|in the place of": "replaces, instead of",
    "(this|that|these) very": "this, the same",
    "two by two": "two at a time",
    "(as few|that|this|it|one|which|alone) will do": "is enough, is good enough",
    "(that|which|they) (is|are) (?-i:none)": "that is not one",
    "whole or not at all": "atomically",
    "where there (is|are) none": "if there is none",
    "(last|own) words": "output, message",
    "(is|are) called as": "has the name of",
}
# Files that have not been rewritten yet. Recordings for docs/truth.md depend on every byte of the two benchmark files.
NOT_YET = ("benchmarks/truth/layer.py", "benchmarks/truth/training.py")


def pattern(phrases: dict[str, str]) -> re.Pattern[str]:
    """Matches any of the phrases; the groups `p0`, `p1`, ... tell which."""
    found = (rf"(?P<p{index}>\b(?:{one})\b)" for index, one in enumerate(phrases))
    return re.compile("|".join(found), re.IGNORECASE)


BASIC, ALL = pattern(PHRASES), pattern({**PHRASES, **ALSO})
SUFFIXES = (".md", ".toml", ".cfg", ".sh", "Makefile")
SCRIPTS = ("tools/python", "tools/system", "tools/without", ".ci/run")
# Generated from sources that are checked themselves, or kept as an earlier version wrote them.
SKIPPED = (
    "docs/commands.md", "docs/json.md", "docs/targets.md", "docs/boards.md", "docs/truth.md", "docs/modules.md", "docs/style.md",
    "tools/prose.py", "tests/tools/test_tools_prose.py", "tests/upgrades/made_by_", "LICENSE",
)  # fmt: skip
CODE = re.compile(r"`[^`\n]+`")
FIELD = re.compile(r"\{[^{}\n]*\}")
TEXT = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}


def found_in(text: str, phrases: re.Pattern[str] = ALL) -> Iterator[tuple[int, str, str]]:
    """(line from 0, phrase, replacement) of each phrase; a line break counts as a blank."""
    text = blanked(text, CODE)
    for match in phrases.finditer(re.sub(r"\n[ \t]*(?:#: |# )?", lambda gap: " " * len(gap[0]), text)):
        phrase = re.sub(r" +", " ", match[0])
        instead = list({**PHRASES, **ALSO}.values())[int(match.lastgroup[1:])] if match.lastgroup else ""
        yield text.count("\n", 0, match.start()), phrase, instead


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of the text in a file that people read: all of a page; comments and strings of a program."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield 1, source
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in TEXT and (
            token.type == tokenize.COMMENT or " " in token.string
        ):  # a single word is a key
            yield token.start[0], blanked(token.string, FIELD) if is_formatted(token) else token.string


def blanked(text: str, what: re.Pattern[str]) -> str:
    """The text with code in it blanked out."""
    return what.sub(lambda code: "_" * len(code[0]), text)


def is_formatted(token: tokenize.TokenInfo) -> bool:
    """Whether a string has fields with code in braces (until Python 3.12 an f-string is one token)."""
    return token.type == tokenize.STRING and "f" in token.string[:2].lower()


def files(names: list[str]) -> list[Path]:
    """The files to check; by default all files that git tracks."""
    if names:
        given = [Path(name) for name in names]
        return [file for one in given for file in (sorted(one.rglob("*.py")) if one.is_dir() else [one])]
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    known = [name for name in done.stdout.splitlines() if not name.startswith(SKIPPED)]
    wanted = [name for name in known if name.endswith((*SUFFIXES, ".py")) or name in SCRIPTS]
    return [ROOT / name for name in wanted if (ROOT / name).is_file()]


def main(names: list[str]) -> int:
    """Prints `file:line: phrase` with its replacement; returns the exit code."""
    count = 0
    for path in files(names):
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        phrases = BASIC if str(shown).startswith(NOT_YET) else ALL
        for start, text in texts(path):
            for line, phrase, instead in found_in(text, phrases):
                count += 1
                sys.stdout.write(f"{shown}:{start + line}: {phrase!r}: write {instead}\n")
    if count:
        sys.stdout.write(f"error: {count} phrases that docs/style.md asks to avoid\n")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
