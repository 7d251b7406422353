"""The benchmarks run, at a size at which their figures mean nothing."""


def test_upload_runs_against_scp(run_script):
    text, rows = run_script("bench_upload.py", "--megabytes", "0.5", "--rounds", "1")
    assert "Upload of 0.5 MB to one board" in text
    assert {"edgewright", "edgewright, session open", "scp", "scp, connected already"} <= set(rows)


def test_fleet_gets_the_file_to_every_board(run_script):
    _, rows = run_script(
        "bench_fleet.py", "--megabytes", "0.1", "--boards", "3", "--rounds", "1", "--no-pyinfra"
    )
    assert float(rows["edgewright"][0]) > 0
    assert float(rows["scp"][2]) > 0


def test_agent_is_small_and_leaves_no_process(run_script):
    text, rows = run_script("bench_agent.py", "--rounds", "1")
    size, limit = int(rows["agent .pyz"][0]), int(rows["agent .pyz"][1])
    assert limit == 64 * 1024
    assert 10_000 < size <= limit
    assert text.rstrip().endswith("sessions: 0")


def test_cli_runs_beside_a_bare_typer(run_script):
    text, rows = run_script("bench_cli.py", "--rounds", "1")
    assert "`deploy --help`" in text
    assert {"bare Typer", "edgewright", "second convert"} <= set(rows)
