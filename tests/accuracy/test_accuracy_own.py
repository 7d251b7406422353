"""Mistakes in users' functions, and labels that do not fit: one line each, with the user's file and line."""

from __future__ import annotations

import threading
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from edgewright.compile.data import evaluation_set
from edgewright.compile.data.answers import Answers
from edgewright.compile.data.counted_values import counting
from edgewright.compile.quality import metrics, user_comparison
from edgewright.compile.workers import user_function
from edgewright.compile.workers.pool import Workers
from edgewright.errors import DataError, UsageError
from edgewright.nouns.artifact import TensorSpec
from edgewright.nouns.project import Compare

COUNT = 12
X = TensorSpec(name="x", shape=(1, 2), dtype="float32")
Y = TensorSpec(name="y", shape=(1, 4), dtype="float32")
ANSWERS = Answers("all", [np.zeros((COUNT, 1, 4), np.float32)])
BAD = {
    "def f(a, b):\n    raise ValueError('gone\\nmore')": "failed: ValueError: gone, at own.py:2",
    "def g():\n    return {}['k']\ndef f(a, b):\n    return g()": "failed: KeyError: 'k', at own.py:2",
    "import numpy as np\ndef f(a, b):\n    return np.ones(3) @ np.ones(2)": "failed: ValueError: .*, at own.py:3",
    "def f(a):\n    return 1.0": r"failed: TypeError: f\(\) takes 1 .*, at own.py:1",
    "import sys\ndef f(a, b):\n    sys.exit(3)": "failed: SystemExit: 3, at own.py:3",
    "class Odd(BaseException): pass\ndef f(a, b):\n    raise Odd('x')": "failed: Odd: x, at own.py:3",
    "def f(a, b):\n    return f(a, b)": "failed: RecursionError: .*, at own.py:2",
    "def f(a, b):\n    return None": "returned None",
    "def f(a, b):\n    return 'good'": "returned a str",
    "def f(a, b):\n    return {'share': 1}": "returned a dict",
    "def f(a, b):\n    yield 1.0": "returned a generator",
    "def f(a, b):\n    return [1.0] * 5": r"returned float64 of shape \(5,\)",
    "def f(a, b):\n    return [[1], [1, 2]]": "returned no numbers: ValueError",
}


def wrong(place: Path, text: str) -> str:
    (place / "own.py").write_text(text + "\n")
    return f"{place / 'own.py'}:f"


@pytest.mark.parametrize("text", BAD)
def test_what_is_wrong_with_a_function(tmp_path: Path, text: str) -> None:
    name = wrong(tmp_path, text)
    with pytest.raises(DataError, match=rf"^metric own\.py:f {BAD[text]}") as caught:
        metrics.load(name).value(ANSWERS, np.zeros(COUNT))
    own = user_comparison.load(Compare(function=name))
    assert own is not None
    with pytest.raises(DataError, match=rf"^\[compare\] own\.py:f {BAD[text]}") as compared:
        own.share(ANSWERS.arrays, ANSWERS.arrays)
    for error in (caught.value, compared.value):
        assert error.hint and "\n" not in error.message


def test_a_metric_that_is_not_finite_names_the_sample(tmp_path: Path) -> None:
    scores = wrong(
        tmp_path,
        "import numpy as np\ndef f(a, b):\n    return np.where(np.arange(len(b)) % 5 == 3, np.nan, 1.0)",
    )
    with pytest.raises(DataError, match=r"^metric own\.py:f returned nan for sample 3, one of 2$"):
        metrics.load(scores).value(ANSWERS, np.zeros(COUNT))
    with pytest.raises(DataError, match=r"^metric own\.py:f returned inf$"):
        metrics.load(wrong(tmp_path, "def f(a, b):\n    return float('inf')")).value(ANSWERS, np.zeros(COUNT))


def test_a_module_that_fails_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"own\.py fails while it is imported: ModuleNotFoundError: .*, at own\.py:2$"
    ):
        metrics.load(wrong(tmp_path, "a = 1\nimport nosuchmodule\ndef f(a, b): return 1.0"))


def test_what_a_function_prints_is_no_result(tmp_path: Path, home: Path) -> None:
    name = wrong(tmp_path, "def f(a, b):\n    print('loud ' * 1000)\n    wait()\n    return 1.0")
    function = user_function.load(name)
    printing, printed = threading.Event(), threading.Event()

    def wait() -> None:
        printing.set()
        assert printed.wait(10)

    function.__globals__["wait"] = wait
    result = StringIO()
    with redirect_stdout(result):
        thread = threading.Thread(target=lambda: user_function.call("f", function, 1, 2, hint=""))
        thread.start()
        assert printing.wait(10)
        print("result")  # as the command does while a function hangs in another thread
        printed.set()
        thread.join()
    assert result.getvalue() == "result\n"
    log = home / "logs" / "convert.log"
    assert log.read_text().startswith("loud loud")
    quiet = user_function.load(
        wrong(tmp_path, f"def f(a, b):\n    print('x' * {user_function.PRINTED * 2})\n    return 1.0")
    )
    assert user_function.call("f", quiet, 1, 2, hint="") == 1.0
    assert log.stat().st_size <= user_function.PRINTED + 8192


GENERATORS = {
    "def f():\n    yield [0.0, 1.0], 1\n    raise RuntimeError('gone')": "failed at sample 1: RuntimeError: gone, at own.py:3",
    "def f():\n    return None": "is not a generator, it returned NoneType",
    "def f(path):\n    yield 1, 2": "failed: TypeError: .*, at own.py:1",
    "def f():\n    for i in range(9): yield [0.0, 1.0], float('nan') if i == 4 else i": "hold NaN or infinity: sample 4, one of 1",
    "import os\ndef f():\n    yield [0.0, 1.0], 1\n    os._exit(5)": "ended its process: exit code 5",
}


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> object:
    with Workers(tmp_path_factory.mktemp("logs") / "log") as made:
        yield made


@pytest.mark.parametrize("text", GENERATORS)
def test_what_is_wrong_with_a_set_s_function(tmp_path: Path, home: Path, workers: Workers, text: str) -> None:
    with pytest.raises(DataError, match=GENERATORS[text]) as caught:
        evaluation_set.prepare(Path(wrong(tmp_path, text)), [X], workers=workers)
    assert caught.value.hint
    assert not [item for item in (home / "evaluations").iterdir() if item.name.startswith("tmp")]


def test_one_hot_rows_of_another_width_are_refused() -> None:
    scorer = metrics.load("top1")
    assert scorer.labels(np.eye(4)[[1, 3]], [Y]).tolist() == [1, 3]
    with pytest.raises(DataError, match="labels are one-hot rows of 3 classes, output y has 4"):
        scorer.labels(np.eye(3)[[1, 2]], [Y])
    with pytest.raises(DataError, match=r"not one whole number a sample \(their shape is \(2, 2, 4\)\)"):
        scorer.labels(np.zeros((2, 2, 4)), [Y])


def test_a_mask_of_another_shape_names_the_outputs() -> None:
    inputs, outputs = [np.ones((3, 1, 2))], [np.ones((3, 1, 4)), np.ones((3, 1, 5))]
    with pytest.raises(UsageError, match=r"mask x of shape \(1, 2\) fits no output") as caught:
        counting("x", [X], inputs, outputs)
    assert caught.value.hint.endswith("the outputs are (1, 4), (1, 5)")
