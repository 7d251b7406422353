"""What the benchmarks have in common: turns, ratios, tables, what a process took."""

import sys

import pytest


def test_contenders_take_turns_and_the_warm_up_is_not_counted(measuring):
    order = []

    def contender(name):
        def measure(number):
            order.append((name, number))
            return {"s": float(number)}

        return measure

    found = measuring.interleave({"a": contender("a"), "b": contender("b")}, 3)
    assert order == [("a", -1), ("b", -1), ("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]
    assert found == {name: [{"s": 0.0}, {"s": 1.0}, {"s": 2.0}] for name in "ab"}


def test_ratios_are_of_the_same_round(measuring):
    mine, other = ([{"s": value} for value in values] for values in ((2.0, 30.0, 4.0), (1.0, 10.0, 4.0)))
    assert measuring.median(mine, "s") == 4.0
    assert measuring.ratios(mine, other, "s") == "2.00 (1.00-3.00)"


def test_table_has_a_dash_where_a_contender_lacks_a_figure(measuring, capsys):
    found = {"base": [{"s": 2.0, "cpu": 1.0}], "other": [{"s": 4.0}]}
    measuring.report("Title", found, {"s": "wall s", "cpu": "CPU s"}, base="base")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3:-1] == ["| base | 2 | - | 1 | - |", "| other | 4 | 2.00 (2.00-2.00) | - | - |"]


def test_process_counts_the_cpu_of_its_children(measuring):
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}], check=True); print('done')"
    )
    spent = measuring.process([sys.executable, "-c", parent])
    assert spent.output == "done\n"
    assert 0.3 <= spent.cpu_s < 5
    assert spent.wall_s >= 0.3


def test_failure_of_a_contender_ends_the_benchmark_with_its_words(measuring):
    with pytest.raises(SystemExit, match="ended with 3: no such board"):
        measuring.process(
            [sys.executable, "-c", "import sys; sys.stderr.write('no such board'); sys.exit(3)"]
        )


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662), (0, 0, 0, 1)],
)
def test_interval_of_a_share(measuring, hits, of, low, high):
    assert measuring.wilson(hits, of) == pytest.approx((low, high), abs=1e-4)
