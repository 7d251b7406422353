"""The agent on every Python that boards have, whole and without the modules that small ones lack."""

from __future__ import annotations

import re

import needs
import pytest

GUARD = "tests/agent_core/test_agent_core_guard.py"
VERSIONS = ("3.6", "3.8", "3.9", "3.11", "3.13")
CI = (("3.6", True),)  # all of them deploy above; these tests run on this machine's own Python too


def every_python(marks):
    """The arguments `version` and `bare`, each pair with the marks that `marks((version, bare))` gives."""
    cells = [(version, bare) for version in VERSIONS for bare in (False, True)]
    named = [
        pytest.param(*one, id=f"{one[0]}-{'bare' if one[1] else 'whole'}", marks=marks(one)) for one in cells
    ]
    return pytest.mark.parametrize(("version", "bare"), named)


def passed(line):
    """How many tests passed, from the last line of pytest."""
    return int(re.search(r"(\d+) passed", line)[1])


@pytest.mark.sampled(2)
@every_python(lambda cell: () if cell == ("3.6", True) else pytest.mark.slow)
def test_a_deployment_on_every_python(make_lab, bare_python, kit, survived, version, bare):
    python = bare_python(version) if bare else needs.python(version)
    (pi,) = make_lab(1, name=f"py{version.replace('.', '')}{'bare' if bare else ''}", python=str(python))
    with pi.open() as session:
        assert session.greeting.python.startswith(version + ".")
        one = kit.Deployment(session, kit.artifact("py", more=300_000), "1")
        one.whole()
        assert one.bench().runs[0].count >= 11
        two = kit.Deployment(session, kit.artifact("py2"), "2").ready()
        two.activate(deadline_s=3)
    kit.wait_until(lambda: pi.current == one.release)
    pi.intact()
    survived(
        "pythons: a deployment and a self-revert over SSH"
        + (", without ctypes, lzma, sqlite3 and ssl" if bare else "")
    )


@pytest.mark.timeout(1600)
@every_python(lambda cell: pytest.mark.slow if cell in CI else pytest.mark.exhaustive)
def test_the_agents_own_tests_on_every_python(bare_python, suite, survived, version, bare):
    python = bare_python(version) if bare else needs.python(version)
    # not those that bring their own Python, or need a real runtime in it: test_faults_runtimes has those
    others = ("work", "group", "providers")
    left_out = [f"--ignore=tests/agent_core/test_agent_core_{one}.py" for one in others]
    if (
        version == "3.6"
    ):  # this test's agents have bytes behind the end of their zip, which zipimport reads since Python 3.8
        left_out += ["--deselect", f"{GUARD}::test_the_guard_follows_a_new_agent_and_its_file_is_not_pruned"]
    line = suite(python, "tests/agent_core", *left_out)
    survived(
        "pythons: the agent's own tests" + (", without ctypes, lzma, sqlite3 and ssl" if bare else ""),
        passed(line),
    )
