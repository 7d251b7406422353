"""The start command in the shells that a login may have, and the package that it starts."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import zipfile

import needs
import pytest

from edgewright.connect.agent import bootstrap
from edgewright.connect.agent import package as agent_package
from edgewright.connect.agent.minify import shrink
from edgewright.errors import ConfigError
from edgewright_agent import protocol

SHELLS = ["sh", "bash", "dash", "zsh", "csh", "tcsh", "fish"]
LOADER = (
    "import os, sys; os.write(1, (hello['word'] + ' %d ' % sys.version_info[0]).encode() + os.read(0, 99))"
)


def run(shell, python=None, env=None):
    """Runs the start command with a hello, followed by bytes that are not part of it."""
    line = protocol.encode({"loader": LOADER, "word": "it's $HOME !1 \\ `x`"})
    needs.tool(shell)
    argv = [shutil.which(shell) or shell, "-c", bootstrap.command(python)]
    return subprocess.run(argv, input=line + b"raw\x00bytes", capture_output=True, env=env, timeout=60)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_login_shell_understands_it(shell):
    done = run(shell)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"edgewright-start python3\nit's $HOME !1 \\ `x` 3 raw\x00bytes"


def test_an_old_python_has_an_exit_code_of_its_own():
    code = bootstrap.command(sys.executable).replace("(3,6)", "(4,0)")
    assert subprocess.run(["sh", "-c", code], input=b"", timeout=60).returncode == bootstrap.OLD_PYTHON_EXIT


@pytest.mark.parametrize("shell", SHELLS)
def test_no_python_has_an_exit_code_of_its_own(shell):
    assert run(shell, "/no/python3").returncode == protocol.NO_PYTHON_EXIT


def test_named_python_is_the_one(tmp_path):
    link = tmp_path / "my-python3"
    link.symlink_to(sys.executable)
    assert run("sh", str(link)).returncode == 0


@pytest.mark.parametrize(
    "python", ["python3", "/usr/bin/python3 -c x", "/x;reboot", "/x'", "/x\n", "", "/x$y", "/x!"]
)
def test_a_python_is_a_plain_absolute_path(python):
    with pytest.raises(ConfigError):
        bootstrap.command(python)


def test_command_holds_nothing_that_a_shell_takes_apart():
    assert not set("!\\`\n") & set(bootstrap.command("/usr/bin/python3"))
    assert not set("\"'$") & set(protocol.BOOT)


def test_package_is_small_and_the_same_every_time(tmp_path):
    first = agent_package.package()
    agent = agent_package.source_folder("edgewright_agent")
    copy = shutil.copytree(agent, tmp_path / "wheel" / agent.name)
    (copy / "__pycache__").mkdir(exist_ok=True)
    assert agent_package.build(copy).data == first.data
    assert len(first.data) <= 59 * 1024


def test_package_does_not_depend_on_line_ends(tmp_path):
    agent = agent_package.source_folder("edgewright_agent")
    copy = shutil.copytree(agent, tmp_path / agent.name)
    file = copy / "protocol.py"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert agent_package.build(copy).data == agent_package.package().data


def test_package_is_kept_and_a_damaged_one_built_again(tmp_path):
    agent = agent_package.source_folder("edgewright_agent")
    cache = tmp_path / "cache"
    cache.mkdir()
    first = agent_package.kept(agent, cache)
    (file,) = cache.iterdir()
    written = file.stat().st_mtime_ns
    assert agent_package.kept(agent, cache) == first and file.stat().st_mtime_ns == written
    file.write_bytes(b"damaged")
    assert agent_package.kept(agent, cache) == first
    changed = shutil.copytree(agent, tmp_path / "changed" / "edgewright_agent")
    (changed / "session/server.py").write_text((changed / "session/server.py").read_text() + "\nMORE = 1\n")
    assert agent_package.kept(changed, cache).sha256 != first.sha256


def plain(source):
    """The program without its docstrings, as its syntax tree."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body[:1] = []
    return ast.dump(tree, include_attributes=False)


def test_shrinking_keeps_the_program_and_its_line_numbers():
    for folder in ("edgewright_agent", "edgewright_targets"):
        for file in agent_package.source_folder(folder).rglob("*.py"):
            source = file.read_text()
            shrunk = shrink(source)
            assert plain(shrunk) == plain(source)
            assert shrink(shrunk) == shrunk
            before = {node.name: node.lineno for node in ast.walk(ast.parse(source)) if hasattr(node, "name")}
            after = {node.name: node.lineno for node in ast.walk(ast.parse(shrunk)) if hasattr(node, "name")}
            assert before == after


def test_shrinking_does_not_touch_strings():
    source = 'def f():  # é\n    """é\n ü"""\n    x = "# no comment"  # é\n'
    source += '    """not a docstring"""\n    return x\n'
    shrunk = 'def f():\n\n\n x="# no comment"\n """not a docstring"""\n return x\n'
    assert shrink(source) == shrunk


def test_shrinking_takes_indentation_but_not_inside_a_string():
    source = 'if x:\n    def f(a,\n          b):\n        """only this"""\n    y = """\n    a\n    """ + (\n        a)\n'
    assert shrink(source) == 'if x:\n def f(a,\nb):\n  ""\n y="""\n    a\n    """+(\na)\n'


def test_shrinking_takes_blanks_beside_operators_alone():
    source = "x = a [1 : 2] if not - 1 in (b, *c) else lambda: 'a , b'  # c\n"
    assert shrink(source) == "x=a[1:2]if not-1 in(b,*c)else lambda:'a , b'\n"


def test_package_holds_the_agent_and_no_runner(tmp_path):
    (tmp_path / "agent.pyz").write_bytes(agent_package.package().data)
    with zipfile.ZipFile(tmp_path / "agent.pyz") as archive:
        assert archive.namelist() == ["__main__.py", "sources"]
        names = list(agent_package.unpacked(agent_package.package().data))
    assert "edgewright_agent/session/server.py" in names and names == sorted(names, key=agent_package.place)
    assert {name.split("/")[0] for name in names} == {"edgewright_agent"}


@pytest.mark.parametrize("version", ["3.6", "3.8", "3.9", "3.11", "3.13"])
def test_package_runs_as_a_program(version, tmp_path):
    (tmp_path / "agent.pyz").write_bytes(agent_package.package().data)
    python = needs.python(version)
    command = [python, "-I", "-S", tmp_path / "agent.pyz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 64 and done.stderr.startswith("usage:")
    root = tmp_path / "root"
    root.mkdir()
    done = subprocess.run([*command, "status", "--root", root], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout)["models"] == {}


@pytest.mark.parametrize("version", ["3.6", "3.13"])
def test_a_traceback_from_the_package_shows_its_lines(version):
    broken = "def fail():\n    raise ValueError('on purpose')  # a line to be seen\n"
    found = {"edgewright_agent/__init__.py": "", "edgewright_agent/broken.py": broken}
    package = agent_package.packed(found)
    loader = (agent_package.source_folder("edgewright_agent") / "loader.py").read_text()
    program = (
        f"import traceback; exec({loader!r}); install({package!r}); from edgewright_agent import broken\n"
        "try:\n    broken.fail()\nexcept ValueError:\n    traceback.print_exc()\n"
    )
    python = needs.python(version)
    done = subprocess.run(
        [python, "-I", "-S", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "edgewright_agent/broken.py" in done.stderr and "# a line to be seen" in done.stderr


def test_building_imports_no_target():
    code = (
        "import sys; from edgewright.connect.agent import package as agent_package; agent_package.package();"
        "print([name for name in sys.modules if name.startswith(('edgewright_targets.', 'numpy'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == []
