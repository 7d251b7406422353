"""The benchmark of Targets side by side: what it keeps, the section that it gives, and a run at a size at which its figures mean nothing."""

import importlib

import pytest

RUN = {
    "day": "2026-11-30",
    "machine": "2-core x86_64",
    "python": "3.11.2",
    "protocol": "1 round",
    "code": "0" * 12,
}
SYSTEM = ("Pi OS, 32-bit", "3.11", "armv7l", "2.36")


@pytest.fixture
def side_by_side(measuring):
    return lambda name: importlib.import_module(f"side_by_side.{name}")


def rows(results):
    """A run with one model: one artifact measured, one beside it, one refused."""
    timings = [
        results.Timing("digits", "fp32", "onnxruntime", runtime="onnxruntime 1.32.0", model_bytes=77000, p50_ms=0.04, load=0.3),
        results.Timing("digits", "fp32", "ncnn", runtime="ncnn 1.0", model_bytes=74659, p50_ms=0.02, ratio=0.5, low=0.4, high=0.6, load=0.3),
        results.Timing("digits", "fp16", "ncnn", refused="too many losses"),
    ]  # fmt: skip
    sizes = [
        results.Size("the lab board", "3.11.2", "x86_64", "2.36", "onnxruntime", "onnxruntime 1.32.0", 44_000_000, 133_000_000, (), 135_000_000),
        results.Size("the lab board", "3.11.2", "x86_64", "2.36", "ncnn", "ncnn 1.0", 11_000_000, 28_000_000, (), 29_000_000),
        results.Size(*SYSTEM, "onnxruntime"),
        results.Size(*SYSTEM, "ncnn", "ncnn 1.0", 3313491, 8028478, ("numpy<2",)),
    ]  # fmt: skip
    return timings, sizes


def test_section_shows_sizes_ratios_and_refusals(side_by_side, tmp_path):
    results, page = side_by_side("results"), side_by_side("page")
    file = tmp_path / "found.jsonl"
    notes = results.Notes(file, results.Run(**RUN))
    timings, sizes = rows(results)
    notes.add(timings, sizes)
    assert "Not measured" in page.section(file)  # until the run ends
    notes.close()
    text = page.section(file)
    assert "nothing here ran on hardware" in text
    assert "2026-11-30; 2-core x86_64" in text
    assert "| Pi OS, 32-bit | 3.11 | armv7l | 2.36 | - | ncnn 1.0: sent 3.3, unpacked 8.0 ¹ |" in text
    assert "numpy<2" in text
    assert "unpacked 133.0 (135.0)" in text
    assert "| digits | fp32 | ncnn | ncnn 1.0 | 0.075 | 28.1 | 0.02 | 0.50 (0.40-0.60) |" in text
    assert "digits, ncnn fp16: no artifact, too many losses." in text


def test_the_page_on_compiled_models_says_who_wins_where(side_by_side, tmp_path):
    results, page = side_by_side("results"), side_by_side("ahead_of_time")
    file = tmp_path / "found.jsonl"
    assert "Not measured" in page.page(file)
    timings, sizes = rows(results)
    for model, p50 in (("digits", 0.06), ("attention", 0.01), ("LSTM", 0.09), ("mixer", 0.0305)):
        if model != "digits":
            timings.append(results.Timing(model, "fp32", "onnxruntime", model_bytes=90000, p50_ms=0.03))
        timings.append(results.Timing(model, "fp32", "iree", model_bytes=90000, p50_ms=p50, convert_s=3.2))
    timings.append(results.Timing("LSTM", "fp32", "tvm", refused="TVM cannot compile LSTM"))
    timings.append(results.Timing("odd", "fp32", "onnxruntime", refused="no"))
    timings.append(results.Timing("odd", "fp32", "iree", model_bytes=90000, p50_ms=1.0))
    sizes.append(
        results.Size(
            "the lab board", "3.11.2", "x86_64", "2.36", "iree", "iree 3", 1_000_000, 2_300_000, (), 2_300_000
        )
    )
    notes = results.Notes(file, results.Run(**RUN))
    notes.add(timings, sizes)
    notes.close()
    text = page.page(file)
    assert (
        "- `iree` is faster than every runtime for attention fp32, ties with the fastest one for mixer fp32, "
        "and takes 3.0 times as long as the fastest one elsewhere." in text
    )
    assert "- `tvm` is faster than every runtime for none of them. 4 of 4 it does not make." in text
    assert "| digits | fp32 | ncnn | 3.00 | - | iree, 2.4 | ncnn, 28.1 |" in text
    assert "| attention | fp32 | iree | 0.33 | - | iree, 2.4 | onnxruntime, 133.1 |" in text
    assert "LSTM, tvm fp32: no artifact, TVM cannot compile LSTM." in text
    assert "| 3.2 |" in text


def test_an_interrupted_run_continues_and_another_begins_again(side_by_side, tmp_path):
    results = side_by_side("results")
    file, run = tmp_path / "found.jsonl", results.Run(**RUN)
    timings, sizes = rows(results)
    results.Notes(file, run).add(timings, sizes)
    with (tmp_path / "found.jsonl.part").open("ab") as left:
        left.write(b'{"type":"timing","model":"dig')
    again = results.Notes(file, run)
    assert again.found == results.Found(run, timings, sizes)
    again.add(timings[:1])
    assert results.load(again.beside).timings == [*timings, timings[0]]
    other = results.Notes(file, results.Run(**{**RUN, "code": "1" * 12}))
    assert not other.found.timings and not other.found.sizes
    assert not file.exists()


@pytest.mark.slow
def test_targets_are_measured_beside_each_other(run_script, side_by_side, tmp_path):
    file = tmp_path / "found.jsonl"
    run_script(
        "bench_targets.py", "--models", "digits CNN", "--targets", "onnxruntime", "ncnn", "--precisions", "fp32",
        "--rounds", "1", "--steady", "0.05", "--results", str(file),
    )  # fmt: skip
    found = side_by_side("results").load(file)
    first, second = found.timings
    assert (first.target, second.target) == ("onnxruntime", "ncnn")
    assert first.p50_ms > 0 and second.p50_ms > 0 and second.low <= second.ratio <= second.high
    assert second.ratio == pytest.approx(second.p50_ms / first.p50_ms, rel=0.01)
    here = {size.target: size for size in found.sizes if size.on_board}
    assert set(here) == {"onnxruntime", "ncnn"}
    for size in here.values():  # what the board unpacked is what the wheels hold, and bytecode
        assert size.sent < size.unpacked <= size.on_board < 1.1 * size.unpacked
    assert {size.arch for size in found.sizes} == {"x86_64", "aarch64", "armv7l"}
