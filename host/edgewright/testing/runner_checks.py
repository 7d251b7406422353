"""Checks a runner with its runtime installed, as the agent relies on it: one suite for every place where a runtime runs.

It needs Python 3.9, numpy and the standard library only: as a program it runs in an emulated board's Python, without pytest.

    python3 -I -S -B runner_checks.py JOB.json

A job names `runner` (path of runner.py), `runtime` (folder, added to the import path), `accelerators` (all that the
target may name) and `artifacts` ({"model precision": folder}). It prints one JSON line per check: `{"check", "error"}`; the
first line is `{"runtime", "python", "machine"}`.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import platform
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

TWO, TOKENS, CNN = ("two_in_two_out", "fp32"), ("tokens", "fp32"), ("cnn", "int8")
CASES = [TWO, TOKENS, CNN]


class Ready:
    """An artifact, with the runner to run it here.

    Attributes:
        runner: the module.
        folder: the artifact's folder.
        manifest: its document.
        goldens: {"input_0": (count, ...), "output_0": ...}.
        accelerators: all that the target may name.
    """

    def __init__(self, runner: Any, folder: Path | str, accelerators: Any) -> None:
        import numpy as np

        self.runner, self.folder, self.accelerators = runner, str(folder), tuple(accelerators)
        self.manifest = json.loads(Path(folder, "manifest.json").read_bytes())
        with np.load(Path(folder, self.manifest["goldens"]["file"])) as goldens:
            self.goldens = dict(goldens)

    def load(self, manifest: dict[str, Any] | None = None, **options: Any) -> Any:
        """A Session of the runner."""
        given: dict[str, Any] = {"threads": 1, "accelerator": None, "prepared": None}
        given.update(options)
        return self.runner.load(self.folder, self.manifest if manifest is None else manifest, given)

    def inputs(self, number: int) -> list[bytes]:
        """The inputs of one golden, as bytes."""
        return [self.goldens[f"input_{i}"][number].tobytes() for i in range(len(self.manifest["inputs"]))]

    def answer(self, session: Any, inputs: Any) -> list[bytes]:
        """The outputs for inputs, as bytes."""
        return [bytes(one) for one in session.read(session.infer(session.feed(inputs)))]

    def right(self, answers: list[list[bytes]]) -> None:
        """Compares outputs, one list per golden, with the source framework's: order, dtype, size, values."""
        import numpy as np

        tolerance = self.manifest["goldens"]["tolerance"]
        for place, spec in enumerate(self.manifest["outputs"]):
            found = np.stack(
                [np.frombuffer(one[place], spec["dtype"]).reshape(spec["shape"]) for one in answers]
            )
            wanted = self.goldens[f"output_{place}"][: len(answers)].astype(np.float64)
            sqnr, relative = distance(wanted, found.astype(np.float64))
            assert sqnr >= tolerance["sqnr_db"], (spec["name"], sqnr)
            assert relative <= tolerance["relative"], (spec["name"], relative)


def distance(wanted: Any, found: Any) -> tuple[float, float]:
    """(SQNR in dB, greatest difference relative to the greatest value) of two float64 arrays."""
    import numpy as np

    noise, signal = float(np.sum(np.square(found - wanted))), float(np.sum(np.square(wanted)))
    sqnr = 10 * float(np.log10(signal / noise)) if noise else 200.0
    return sqnr, float(np.max(np.abs(found - wanted)) / np.max(np.abs(wanted)))


def refuses(wanted: str, function: Any, *arguments: Any, **more: Any) -> None:
    """Asserts that a call raises ValueError with a certain text."""
    try:
        function(*arguments, **more)
    except ValueError as error:
        assert wanted in str(error), error
    else:
        raise AssertionError(f"not refused: {wanted}")


def goldens_are_answered_in_order_and_type(ready: Ready) -> None:
    """Outputs match the source's framework, are the same twice, and differ for different inputs."""
    goldens = range(ready.manifest["goldens"]["count"])
    session = ready.load()
    answers = [ready.answer(session, ready.inputs(number)) for number in goldens]
    ready.right(answers)
    assert [ready.answer(session, ready.inputs(number)) for number in goldens] == answers, (
        "not twice the same"
    )
    assert len({tuple(one) for one in answers}) == len(answers), "the answers do not depend on the inputs"
    assert session.accelerator == "cpu"
    session.close()


def the_manifest_gives_the_order_of_inputs_and_outputs(ready: Ready) -> None:
    """For a model with inputs `right` and `left` and two outputs."""
    inputs, outputs = ready.manifest["inputs"], ready.manifest["outputs"]
    assert [spec["name"] for spec in inputs] == ["right", "left"] and len(outputs) == 2
    turned = dict(ready.manifest, inputs=inputs[::-1], outputs=outputs[::-1])
    straight, reverse = ready.load(), ready.load(turned)
    for number in range(8):
        given = ready.inputs(number)
        assert ready.answer(reverse, given[::-1])[::-1] == ready.answer(straight, given)
    straight.close()
    reverse.close()


def integers_stay_integers(ready: Ready) -> None:
    """For a model of tokens."""
    import numpy as np

    (spec,) = ready.manifest["inputs"]
    assert spec["dtype"] in ("int32", "int64") and ready.goldens["input_0"].dtype == spec["dtype"]
    session = ready.load()
    one, other = (np.full(spec["shape"], token, spec["dtype"]).tobytes() for token in (3, 4))
    assert ready.answer(session, [one]) != ready.answer(session, [other])
    session.close()


def a_feed_is_a_copy_and_takes_what_is_like_bytes(ready: Ready) -> None:
    """A feed can be changed afterwards without affecting the inference."""
    session = ready.load()
    wanted = ready.answer(session, ready.inputs(0))
    given = [bytearray(one) for one in ready.inputs(0)]
    feed = session.feed([memoryview(given[0]), *given[1:]])
    for one in given:
        one[:] = bytes(len(one))
    assert [bytes(one) for one in session.read(session.infer(feed))] == wanted
    session.close()


def answers_are_the_callers_own(ready: Ready) -> None:
    """A later inference does not change earlier outputs."""
    session, other = ready.load(), ready.load(threads=2)
    first = session.read(session.infer(session.feed(ready.inputs(0))))
    kept = [bytes(one) for one in first]
    ready.answer(session, ready.inputs(1))
    assert [bytes(one) for one in first] == kept
    session.close()
    some = range(min(8, ready.manifest["goldens"]["count"]))
    ready.right([ready.answer(other, ready.inputs(number)) for number in some])
    feed = other.feed(ready.inputs(0))
    outputs = other.infer(feed)
    other.close()
    del other
    del (
        feed,
        outputs,
    )  # a child frees them in any order: a runtime that crashes then would take the results along


def an_accelerator_that_is_not_there_is_a_value_error(ready: Ready) -> None:
    """Usable accelerators start with `cpu`, and `auto` takes one of them."""
    usable = ready.runner.accelerators()
    assert usable[0] == "cpu" and len(set(usable)) == len(usable)
    for wanted in ("abacus", *sorted(set(ready.accelerators) - set(usable))):
        refuses(wanted, ready.load, accelerator=wanted)
    assert ready.load(accelerator="cpu").accelerator == "cpu"
    assert ready.load(accelerator="auto").accelerator in ready.runner.accelerators()


def tensors_that_are_not_the_models_are_a_value_error(ready: Ready) -> None:
    """Refuses a manifest with a tensor too many, or one that is not in the file."""
    for kind in ("inputs", "outputs"):
        more = dict(ready.manifest[kind][0], name="one too many")
        wrong = dict(ready.manifest, **{kind: ready.manifest[kind] + [more]})
        refuses("differ from the manifest", ready.load, wrong)
        first, *rest = ready.manifest[kind]
        wrong = dict(ready.manifest, **{kind: [dict(first, tensor="not in the file"), *rest]})
        refuses("differ from the manifest", ready.load, wrong)


def what_has_nothing_to_prepare_prepares_nothing(ready: Ready) -> None:
    """On the CPU, no file is made."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"threads": 1, "accelerator": "cpu", "prepared": folder}
        assert not getattr(ready.runner, "prepares", lambda _: False)(options)
        answer = ready.runner.prepare(ready.folder, ready.manifest, options)
        # a runner that chooses among accelerators reports its choice
        assert answer in ({}, {"accelerator": "cpu"})
        assert list(Path(folder).iterdir()) == []


ANY_MODEL = [
    goldens_are_answered_in_order_and_type,
    a_feed_is_a_copy_and_takes_what_is_like_bytes,
    answers_are_the_callers_own,
    an_accelerator_that_is_not_there_is_a_value_error,
    tensors_that_are_not_the_models_are_a_value_error,
    what_has_nothing_to_prepare_prepares_nothing,
]
CHECKS = [
    *[(goldens_are_answered_in_order_and_type, *case) for case in CASES],
    (the_manifest_gives_the_order_of_inputs_and_outputs, *TWO),
    (integers_stay_integers, *TOKENS),
    (a_feed_is_a_copy_and_takes_what_is_like_bytes, *TWO),
    (answers_are_the_callers_own, *TWO),
    (an_accelerator_that_is_not_there_is_a_value_error, *TWO),
    (tensors_that_are_not_the_models_are_a_value_error, *TWO),
    (what_has_nothing_to_prepare_prepares_nothing, *TWO),
]


def of_artifacts(found: Any) -> list[Any]:
    """The rows of CHECKS for artifacts named `model precision`: a target may not make every precision."""
    return [row for row in CHECKS if f"{row[1]} {row[2]}" in found]


def title(check: Any, model: str, precision: str) -> str:
    """The name of a check with its model."""
    return f"{check.__name__}-{model}-{precision}"


def say(**line: Any) -> None:
    """Prints one JSON line."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(job: dict[str, Any]) -> None:
    """Runs every check that a job has an artifact for."""
    sys.path.append(job["runtime"])
    spec = importlib.util.spec_from_file_location("runner", job["runner"])
    assert spec is not None and spec.loader is not None
    runner = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runner)
    say(runtime=runner.import_runtime(), python=platform.python_version(), machine=platform.machine())
    ready = functools.lru_cache(None)(lambda folder: Ready(runner, folder, job["accelerators"]))
    for check, model, precision in of_artifacts(job["artifacts"]):
        error = ""
        try:
            check(ready(job["artifacts"][f"{model} {precision}"]))
        except Exception:  # noqa: BLE001 - whatever it is, it is reported
            error = traceback.format_exc()
        say(check=title(check, model, precision), error=error)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_bytes()))
