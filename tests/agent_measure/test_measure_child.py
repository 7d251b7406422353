"""Runtimes that print, crash, hang, lie or outlive their agent."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgewright_agent.checks import verify
from edgewright_agent.processes import children, spawn
from edgewright_agent.protocol import AgentError, encode


def job_of(make_job, make_release, runtime, **more):
    return make_job(make_release(), runtime, **more)


def failure(job, files, **limits):
    with children.Scratch(files) as scratch, pytest.raises(AgentError) as caught:
        path = job["folder"] + "/goldens.npz"
        children.run(job, {"do": "infer", "path": path, "out": scratch.path("o")}, [].append, **limits)
    return caught.value


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid, seconds=30.0):
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(pid)


@pytest.mark.parametrize(
    ("where", "code", "stage"),
    [("top", "child-crashed", "import"), ("load", "load-failed", "load"), ("run", "child-crashed", "run")],
)
def test_a_crash(make_job, make_release, broken_runtime, files, where, code, stage):
    code_text = 'os.write(2, b"\\x1b[31mthe kernel is \\xff odd\\x1b[0m\\n"); os.abort()'
    error = failure(job_of(make_job, make_release, broken_runtime(**{where: code_text})), files)
    assert error.code == code
    assert error.message == f"the runtime crashed in {stage}: signal 6: the kernel is ? odd"


def test_killed_for_memory_is_not_held_against_the_model(make_job, make_release, broken_runtime, files):
    runtime = broken_runtime(load="import signal; os.kill(os.getpid(), signal.SIGKILL)")
    error = failure(job_of(make_job, make_release, runtime), files)
    assert (error.code, error.message) == ("child-crashed", "the runtime was killed in load")
    assert error.about == {"cause": "killed"}


@pytest.mark.parametrize("text", ["raise MemoryError()", 'raise RuntimeError("std::bad_alloc")'])
def test_out_of_memory_is_not_held_against_the_model(make_job, make_release, broken_runtime, files, text):
    error = failure(job_of(make_job, make_release, broken_runtime(load=text)), files)
    assert error.code == "child-crashed" and "memory ran out in load" in error.message


def test_a_full_disk_is_not_held_against_the_model(make_job, make_release, broken_runtime, files):
    runtime = broken_runtime(run='raise OSError(28, "No space left on device")')
    error = failure(job_of(make_job, make_release, runtime), files)
    assert (error.code, error.message) == ("disk-full", "run: No space left on device")


@pytest.mark.parametrize(
    ("where", "code", "message"),
    [
        ("top", "runtime-damaged", "the runtime cannot be imported: ValueError: line one | line two"),
        ("load", "load-failed", "the runtime refused the model: ValueError: line one | line two"),
        ("run", "load-failed", "the runtime failed to run the model: ValueError: line one | line two"),
    ],
)
def test_an_exception(make_job, make_release, broken_runtime, files, where, code, message):
    runtime = broken_runtime(**{where: r'raise ValueError("line one\n\nline two\0"[:-1])'})
    error = failure(job_of(make_job, make_release, runtime), files)
    assert (error.code, error.message) == (code, message)


def test_exit_in_the_middle(make_job, make_release, broken_runtime, files):
    error = failure(job_of(make_job, make_release, broken_runtime(load="sys.exit(3)")), files)
    assert (error.code, error.message) == ("load-failed", "the runtime crashed in load: exit code 3")


@pytest.mark.parametrize(("limits", "code"), [({"limit_s": 3}, "slow-start"), ({"idle_s": 3}, "timeout")])
def test_a_hang_ends_at_its_limit(make_job, make_release, broken_runtime, files, limits, code):
    start = time.monotonic()
    error = failure(job_of(make_job, make_release, broken_runtime(load="time.sleep(60)")), files, **limits)
    assert (error.code, error.message) == (code, "the runtime did not finish in load: 3 s")
    assert 2.9 < time.monotonic() - start < 30


def test_what_a_runtime_prints_reaches_nobody(make_job, make_release, broken_runtime, files):
    noise = 'print("{\\"ok\\": {}}"); os.write(1, b"{\\"ok\\":{}}\\n" * 20000); sys.stdout.flush()'
    verdict = verify.verify(
        job_of(make_job, make_release, broken_runtime(top=noise, load=noise, run=noise)), files, [].append
    )
    assert verdict["runtime"] == "onnxruntime 0.1" and verdict["goldens"] == 8
    assert not verdict["ok"] and verdict["failed"] == list(range(8))


def test_what_a_runtime_reads_is_nothing(make_job, make_release, broken_runtime, files):
    runtime = broken_runtime(load="raise ValueError(repr(sys.stdin.read()))")
    assert failure(job_of(make_job, make_release, runtime), files).message.endswith("ValueError: ''")


def test_an_answer_that_is_no_answer(make_job, make_release, broken_runtime, files):
    everywhere = """
for descriptor in range(3, 20):
    try:
        os.write(descriptor, b"junk\\n")
    except OSError:
        pass
"""
    error = failure(job_of(make_job, make_release, broken_runtime(top=everywhere)), files)
    assert (error.code, error.message) == (
        "protocol",
        "a line is not JSON, or a number in it is out of range: b'junk'",
    )


@pytest.mark.parametrize("then", ["pass", "os.abort()"])
def test_what_a_runtime_started_ends_with_it(make_job, make_release, broken_runtime, files, tmp_path, then):
    note = tmp_path / "pid"
    start = "import subprocess; p = subprocess.Popen(['sleep', '60'])\n"
    start += f"open({str(note)!r}, 'w').write(str(p.pid))"
    job = job_of(make_job, make_release, broken_runtime(top=start, load=then))
    if then == "pass":
        verify.verify(job, files, [].append)
    else:
        assert failure(job, files).code == "load-failed"
    assert gone(int(note.read_text()))


GIL = (
    "import ctypes; ctypes.PyDLL(None).sleep(60)"  # holds the interpreter's lock: no thread of Python's runs
)


@pytest.mark.parametrize("hang", ["time.sleep(60)", GIL])
def test_it_ends_when_its_agent_does(make_job, make_release, broken_runtime, root, hang):
    job = job_of(make_job, make_release, broken_runtime(load=hang))
    process = spawn.start("child", {}, job["root"], job["agent_sha"], stderr=subprocess.DEVNULL)
    try:
        request = {"do": "infer", "path": job["folder"] + "/goldens.npz", "out": str(root / "o")}
        request.update(paths=children.paths(job["runtime"]))
        process.stdin.write(encode(dict(job, **request)))
        while json.loads(process.stdout.readline()) != {"stage": "load"}:
            pass
        time.sleep(0.2)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(timeout=30) in (-signal.SIGIO, 1)
    finally:
        spawn.finish(process)


def test_an_agent_that_is_killed_takes_its_child_along(make_job, make_release, broken_runtime, tmp_path):
    note = tmp_path / "pid"
    tell = f"open({str(note)!r}, 'w').write(str(os.getpid()))\n"
    job = job_of(make_job, make_release, broken_runtime(load=tell + GIL))
    (tmp_path / "job.json").write_text(json.dumps(job))
    source = str(Path(spawn.__file__).parents[2])
    program = (
        f"import sys, json; sys.path.insert(0, {source!r})\n"
        "from edgewright_agent.processes import children\n"
        f"job = json.load(open({str(tmp_path / 'job.json')!r}))\n"
        f"request = dict(do='infer', path=job['folder'] + '/goldens.npz', out={str(tmp_path / 'o')!r})\n"
        "children.run(job, request, print)\n"
    )
    agent = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not (note.exists() and note.read_text()) and time.monotonic() < end:
            time.sleep(0.02)
        child = int(note.read_text())
        assert alive(child)
    finally:
        agent.kill()
        agent.wait()
    assert gone(child)


def test_it_dies_first_when_memory_runs_out(make_job, make_release, broken_runtime, files):
    runtime = broken_runtime(load='raise ValueError(open("/proc/self/oom_score_adj").read().strip())')
    assert failure(job_of(make_job, make_release, runtime), files).message.endswith("ValueError: 1000")


def test_a_provisioned_runtime_wins_over_the_boards(make_job, make_release, broken_runtime, files):
    job = job_of(make_job, make_release, broken_runtime())
    assert verify.verify(job, files, [].append)["runtime"] == "onnxruntime 0.1"


def test_a_runtime_with_its_own_numpy_gets_nothing_of_the_boards(
    make_job, make_release, broken_runtime, files
):
    runtime = broken_runtime(top="import onnx")
    assert verify.verify(job_of(make_job, make_release, runtime), files, [].append)["goldens"] == 8
    (Path(runtime["path"]) / "numpy").mkdir()
    error = failure(make_job(make_release("second"), runtime), files)
    assert error.message == "the runtime cannot be imported: ModuleNotFoundError: No module named 'onnx'"


def test_an_absent_accelerator(make_job, make_release, broken_runtime, files):
    error = failure(job_of(make_job, make_release, broken_runtime(), accelerator="myriad"), files)
    assert (error.code, error.message) == ("accelerator-absent", "the accelerator is not there: myriad")
    assert error.about == {"usable": ["cpu", "cuda"]}


def test_no_silent_fallback(make_job, make_release, broken_runtime, files):
    runtime = broken_runtime(load='self.providers = ["CPUExecutionProvider"]')
    error = failure(job_of(make_job, make_release, runtime, accelerator="cuda"), files)
    assert error.code == "accelerator-absent"
    assert error.message == "the model does not run on cuda: the runtime took cpu"


def test_outputs_of_another_size_are_refused(make_job, make_release, broken_runtime, files):
    runtime = broken_runtime(run='return [numpy.zeros((1, 9), "float32")]')
    error = failure(job_of(make_job, make_release, runtime), files)
    assert (error.code, "output_0 has 36 bytes" in error.message) == ("load-failed", True)


def test_no_scratch_is_left(make_job, make_release, broken_runtime, files, root):
    failure(job_of(make_job, make_release, broken_runtime(run="os.abort()")), files)
    assert list((root / "results" / "session").iterdir()) == []


def test_stderr_is_cleaned():
    assert children.cleaned(b"a\n\n \x1b[1mb\x07\r\nc\nd\xc3\xa9\ne") == "b? | c | d?? | e"
    assert len(children.cleaned(b"x" * 9000)) == 600
    assert children.cleaned(b"") == ""
    assert children.cleaned(b"\x00") == "?"
