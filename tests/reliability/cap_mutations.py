"""Caps of what the host takes from a board, and what stops a command, switched off one at a time: rows of `mutations.Mutation`."""

HOST, LIES = "host/edgewright/", "tests/faults/hostile/test_faults_caps.py::test_"
HOSTILE, SIGNALS = "tests/connect/test_connect_hostile.py::test_", "tests/e2e/test_e2e_signals.py::test_"

OF_CAPS = [
    (
        "cap of a result",
        HOST + "connect/transfer.py",
        "if result.size > most:",
        "if False:",
        (LIES + "answers_to_an_evaluation_set",),
    ),
    (
        "cap of a line",
        HOST + "wire/stream.py",
        ">= limit:",
        ">= 2**40:",
        (
            "tests/faults/hostile/test_faults_host_fuzz.py::test_much_takes_little_memory_and_time[a line without an end-greeted]",
        ),
    ),
    (
        "cap of events",
        HOST + "connect/exchange.py",
        "range(caps.EVENTS.most):",
        "range(2**40):",
        (HOSTILE + "events_without_an_end_are_ended",),
    ),
    (
        "time limit of a command",
        HOST + "connect/session.py",
        "sum(one.command.limit_s for one in requests)",
        "3600.0",
        (HOSTILE + "heartbeats_do_not_extend_a_commands_limit",),
    ),
    (
        "cap of stderr",
        HOST + "wire/transport.py",
        "while self._size > STDERR.most and",
        "while False and",
        (LIES + "what_stderr_is_kept",),
    ),
    (
        "cap of an SSH packet",
        HOST + "connect/ssh/incoming.py",
        "if count > PACKET.most:",
        "if False:",
        (LIES + "a_server_that_sends_a_packet_of_gigabytes",),
    ),
    (
        "cap of an SSH banner",
        HOST + "connect/ssh/incoming.py",
        "if taken > NOISE.most:",
        "if False:",
        (LIES + "a_banner_without_an_end",),
    ),
    (
        "SSH window",
        HOST + "connect/ssh/incoming.py",
        "if len(channel.in_buffer) + len(channel.in_stderr_buffer) > WINDOW.most:",
        "if False:",
        (LIES + "a_server_that_does_not_keep_to_the_window",),
    ),
    (
        "archives are not packed",
        HOST + "compile/data/board_archive.py",
        "if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):",
        "if False:",
        (LIES + "an_archive_that_lies",),
    ),
    (
        "size of an archive's directory",
        HOST + "compile/data/board_archive.py",
        "if entries > most or length > most * DIRECTORY or offset + length + _END.size != size:",
        "if False:",
        (LIES + "an_archive_that_lies",),
    ),
    (
        "size of an array's header",
        HOST + "compile/data/board_archive.py",
        "if member.read(len(_VERSION_1)) != _VERSION_1:",
        "if not member.read(len(_VERSION_1)):",
        (LIES + "an_archive_that_lies",),
    ),
    (
        "outputs are bounded by the manifest",
        HOST + "measure/output_limits.py",
        "return count * one + HEADERS",
        "return OUTPUTS.most",
        (LIES + "what_infer_takes",),
    ),
    (
        "runs are bounded by the protocol",
        HOST + "measure/benchmark.py",
        "if len(set(named)) != len(named) or not asked.issuperset(named):",
        "if False:",
        (LIES + "runs_that_nobody_asked_for",),
    ),
    (
        "samples are bounded",
        HOST + "measure/benchmark.py",
        "return min(SAMPLES.most, size)",
        "return 1 << 40",
        (LIES + "runs_that_nobody_asked_for",),
    ),
    (
        "SIGTERM and SIGHUP stop a command",
        HOST + "cli/signals.py",
        "for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n        if",
        "for number in (signal.SIGINT,):\n        if",
        ("tests/host/test_host_signals.py",),
    ),
    (
        "workers leave signals to the host",
        HOST + "compile/workers/process.py",
        "signal.signal(number, signal.SIG_IGN)",
        "pass",
        (SIGNALS + "sigterm_to_a_worker_alone_does_not_end_a_conversion",),
    ),
    (
        "a closed stdout is no bug",
        HOST + "cli/output.py",
        "sys.stdout, sys.stderr = cast(TextIO, Results(stdout)), cast(TextIO, Notes(stderr))",
        "sys.stdout, sys.stderr = stdout, stderr",
        ("tests/host/test_host_output.py::test_a_stdout_that_takes_nothing_is_one_line",),
    ),
]
