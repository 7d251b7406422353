"""A real board that poisons every text, or sends values of any type: what people and programs see then."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import command_line as run
from command_line import document_of

# Colours, a title, cursor movements, C1 controls, text direction, a link, Rich's markup, HTML, a line end.
POISON = "\x1b[31m\x1b]0;t\x07\x9b2J\u202egnp\u2066\x00\x7f\r\b\x1b]8;;http://x\x1b\\[bold red]x[/]<script>x</script>\n{}%s"
NAMES = ("release", "current", "last_good", "known_good", "from", "to", "ref", "state", "outcome", "result", "sha256",
         "prefix_sha256", "artifact", "target", "precision", "arch", "version", "libc", "metric", "guard", "outputs", "problem")  # fmt: skip
COMMANDS = {
    "status": ["status"],
    "doctor": ["doctor", "f-1"],
    "logs": ["logs", "f-1"],
    "bench": ["bench", "doubler", "--on", "f-1", "--protocol", "quick"],
    "infer": ["infer", "doubler", "--on", "f-1", "--input", "INPUT"],
    "rollback": ["rollback", "doubler", "--on", "f-1"],
    "provision": ["provision", "f-1", "--target", "tflite", "--dry-run"],
    "history": ["history"],
}


@pytest.fixture
def command(tmp_path):
    """The arguments of a command of COMMANDS."""
    np.savez(tmp_path / "input.npz", input_0=np.ones((1, 4), np.float32))

    def make(name):
        return [str(tmp_path / "input.npz") if one == "INPUT" else one for one in COMMANDS[name]]

    return make


@pytest.fixture
def lying(pi, configured):
    """`with lying(suffix=..., keep=..., replace=..., number=...)`: the board lies inside the block."""
    for name in ("liar.py", "lies.py"):
        shutil.copy(Path(__file__).with_name(name), pi.lab.folder)

    @contextlib.contextmanager
    def lie(suffix="", keep=NAMES, replace=(0, 0.0), number=""):
        plan = {"suffix": suffix, "keep": list(keep), "replace": list(replace), "number": number}
        (pi.lab.folder / "liar.json").write_text(json.dumps(plan))
        with configured(pi, f"ForceCommand python3 {pi.lab.folder}/liar.py"):
            yield

    return lie


@pytest.fixture(autouse=True)
def two_releases(pi, kit):
    """Two releases to show, and a log that a hook filled with escape sequences."""
    hook = "#!/bin/sh\nprintf '%b' '\\033[31m\\033]0;t\\007\\233x'\n"
    if pi.current is None:
        pi.deploy("a", "1", hooks={"activate": hook})
        pi.deploy("b", "2", hooks={"activate": hook})


def plain(text):
    """Whether a terminal shows a text as plain lines."""
    return all(letter.isprintable() or letter == "\n" for letter in text)


@pytest.mark.parametrize(
    "keep",
    [pytest.param(NAMES, id="texts"), pytest.param((), id="names too", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "form",
    ["table", pytest.param("json", marks=pytest.mark.slow), pytest.param("debug", marks=pytest.mark.slow)],
)
def test_no_text_of_a_board_steers_the_terminal(lying, command, survived, form, keep):
    more = {"table": [], "json": ["--json"], "debug": ["--debug"]}[form]
    with lying(POISON, keep):
        tried = [name for name in COMMANDS if form != "table" or name != "bench"]  # it takes seconds
        ran = {name: run(*command(name), *more) for name in tried}
    for name, (code, out, err) in ran.items():
        assert plain(out), (name, out)
        assert plain(err), (name, err)
        assert "internal error" not in out + err, (name, out, err)
        assert "Traceback" not in out + err
        assert code in (0, 1, 2, 4), (name, code)
        if form == "json":
            document_of(out)
    if keep:
        assert ran["status"][0] == ran["logs"][0] == 0, ran
        assert "doubler" in ran["status"][1] and "gnp" in ran["doctor"][1] + ran["doctor"][2]
    survived("hostile boards: every text poisoned with terminal escapes, for each command", len(ran))


SEEDS = [
    pytest.param(range(1, 2), id="some"),
    pytest.param((0, *range(2, 20)), id="many", marks=pytest.mark.exhaustive),
]


@pytest.mark.parametrize("seeds", SEEDS)
def test_values_of_any_type_end_in_an_error_of_ours(lying, command, survived, seeds):
    tried, wrong = 0, []
    for seed in seeds:
        with lying(replace=(seed, 0.08 if seed % 2 else 0.02)):
            for name in COMMANDS:
                code, out, err = run(*command(name), *(["--json"] if seed % 3 else []))
                tried += 1
                if "internal error" in out + err or "Traceback" in out + err or code not in (0, 1, 2, 4):
                    wrong.append((seed, name, code, (err + out)[-400:]))
                assert plain(out) and plain(err), (seed, name)
    assert wrong == [], "\n".join(map(str, wrong))
    survived("hostile boards: values of any type in every answer, for each command", tried)


NUMBERS = ["9" * 309, "-9223372036854775809", "1e400", "NaN"]  # beyond a float, beyond 64 bits, not finite


@pytest.mark.parametrize(
    "number", [NUMBERS[0], *(pytest.param(one, marks=pytest.mark.slow) for one in NUMBERS[1:])]
)
def test_numbers_out_of_range_are_one_boards_error(lying, command, survived, number):
    with lying(number=number):
        ran = {name: run(*command(name)) for name in ("doctor", "status", "infer", "rollback")}
    for name, (code, out, err) in ran.items():
        assert (code, "internal error" in out + err) == (2, False), (name, out, err)
        assert "a number in it is out of range" in out + err, (name, out, err)
    survived("hostile boards: numbers out of range in every answer, for each command", len(ran))
