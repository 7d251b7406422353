"""The benchmarks run, at a size at which their figures mean nothing."""

import importlib
import subprocess
import sys
import time

import needs

# busy for 0.2 s in one thread after another, then each for a moment
THREADS = """
import threading, time
def busy(until):
    while time.thread_time() < until: pass
for until in (0.2, *[0.0005] * 4000):
    thread = threading.Thread(target=busy, args=(until,)); thread.start(); thread.join()
    if until == 0.2: print(flush=True)
input()
"""


def test_upload_runs_against_scp(run_script):
    text, rows = run_script("bench_upload.py", "--megabytes", "0.5", "--rounds", "1")
    assert "Upload of 0.5 MB to one board" in text
    assert {"edgewright", "edgewright, session open", "scp", "scp, connected already"} <= set(rows)
    needs.tool("rsync")
    assert "rsync" in rows


def test_fleet_gets_the_file_to_every_board(run_script):
    _, rows = run_script(
        "bench_fleet.py", "--megabytes", "0.1", "--boards", "3", "--rounds", "1", "--no-pyinfra"
    )
    assert float(rows["edgewright"][0]) > 0
    assert float(rows["scp"][2]) > 0


def test_agent_is_small_and_leaves_no_process(run_script):
    text, rows = run_script("bench_agent.py", "--rounds", "1", "--goldens", "1")
    size, limit = int(rows["agent .pyz"][0]), int(rows["agent .pyz"][1])
    assert limit == 58 * 1024
    assert "Comparing 1 goldens" in text and float(rows["schema 2"][0]) > 0 and rows["schema 2"][1] != "-"
    assert 10_000 < size <= limit
    assert text.rstrip().endswith("sessions: 0")


def test_threads_that_have_ended_count_and_threads_that_end_do_no_harm(measuring):
    bench_agent = importlib.import_module("bench_agent")
    with subprocess.Popen(
        [sys.executable, "-c", THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            figures = bench_agent.spent(child.pid)
            assert figures["cpu_ms"] > 200
            assert figures["peak_mb"] > 3
        child.kill()


def test_cli_runs_beside_a_bare_typer(run_script):
    text, rows = run_script("bench_cli.py", "--rounds", "1")
    assert "`deploy --help`" in text
    assert {"bare Typer", "edgewright", "second convert"} <= set(rows)
