"""The benchmarks run, at a size at which their figures mean nothing."""

import importlib
import socket
import subprocess
import sys
import time
from pathlib import Path

import needs

SLOW_LINK = Path(__file__).parents[2] / "benchmarks/slow_link.py"
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
    assert {"scp", "scp, connected already"} <= set(rows)
    for client in ("paramiko", "openssh"):
        assert {f"edgewright, {client}", f"edgewright, {client}, session open"} <= set(rows)
    needs.tool("rsync")
    assert "rsync" in rows


def test_fleet_gets_the_file_to_every_board(run_script):
    _, rows = run_script(
        "bench_fleet.py", "--megabytes", "0.1", "--boards", "3", "--rounds", "1", "--no-pyinfra"
    )
    assert float(rows["edgewright, paramiko"][0]) > 0 and float(rows["edgewright, openssh"][0]) > 0
    assert float(rows["scp"][2]) > 0


def test_agent_is_small_and_leaves_no_process(run_script):
    text, rows = run_script("bench_agent.py", "--rounds", "1", "--goldens", "1")
    size, limit = int(rows["agent .pyz"][0]), int(rows["agent .pyz"][1])
    assert limit == 59 * 1024
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


def test_a_version_is_compared_with_itself(run_script):
    text, rows = run_script("bench_before_after.py", "HEAD", "--rounds", "1", "--only", "agent")
    assert "Agent, packed" in text
    assert float(rows["CPU ms"][0].split()[0]) > 1 and rows["CPU ms"][2] != "-"


def test_a_slow_link_delays_both_ways_and_counts_round_trips(tmp_path):
    log = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as server:
        argv = [sys.executable, str(SLOW_LINK), str(server.getsockname()[1]), "200", str(log)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as link:
            with socket.create_connection(("127.0.0.1", int(link.stdout.readline()))) as client:
                answering, _ = server.accept()
                began = time.monotonic()
                for _ in range(2):
                    client.sendall(b"x")
                    answering.sendall(answering.recv(1))
                    assert client.recv(1) == b"x"
                assert time.monotonic() - began >= 0.4
            answering.close()
            while not (log.exists() and log.read_text()):
                time.sleep(0.05)
            link.kill()
    assert log.read_text() == "2\n"
