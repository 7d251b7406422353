"""`docs/truth.md`, from the results file."""

from __future__ import annotations

from pathlib import Path

from truth import rates, tables
from truth.store import load

RESULTS = Path(__file__).with_name("results.jsonl")
_HEAD = """# How often the verdict is right

<!-- written by `make docs` from benchmarks/truth/results.jsonl: do not edit -->

A verdict on an artifact ([accuracy.md](accuracy.md)) can be wrong in two ways: it accepts an artifact that decides otherwise than its source, or it refuses one
that is right. Both are measured here by `benchmarks/bench_truth.py`: models are converted, faults are planted in the finished files, and every file is judged as a
conversion judges it (*host*) and as a board does that has the manifest of the sound file (*board*). The first is what a converter would have to get wrong; the
second is what goes wrong afterwards: an old runtime, other kernels, a damaged file.

- **Decisions** are what is done with answers: the class, the class of each pixel or column, whether a value is above its threshold, a figure to within a step that matters.
- A fault is **real** if it changes more than 2 % of the decisions about samples that the conversion has not seen, or costs more than one point of accuracy where there
  are labels; **slight** if it changes fewer decisions. Others change none of them. A verdict may refuse either.
- A conversion is **right** if it changes at most 5 % of its source's decisions, or loses at most 2 points of accuracy where there are labels for all that it decides. Conversions run with a verdict
  that is recorded and not obeyed, so the decisions of those that it refuses are counted too.
- An artifact is judged several times: by its conversion, by goldens from other data, by random ones. Verdicts on one artifact are not independent, so shares and
  intervals are given by artifacts too: there, one refusal counts the artifact as refused.
- Intervals are exact (Clopper and Pearson), 95 %.
"""
UNMEASURED = """# How often the verdict is right

<!-- written by `make docs` while there is no benchmarks/truth/results.jsonl: do not edit -->

Not measured for this version yet. A verdict on an artifact ([accuracy.md](accuracy.md)) can accept one that decides otherwise than its source, or refuse one that is
right. `benchmarks/bench_truth.py` measures both, and `make docs` then writes the rates here ([benchmarks.md](benchmarks.md#the-verdict)).
"""
_WEAK = """
- A conversion has no sound file to compare with: its limits have to leave room for the rounding of any model, so a fault that is no larger can pass. A board has nearer
  limits, the sound file's own error in total and by part, and refuses most of them.
- Choices are compared on at most 144 samples: a fault that changes less than about 8 % of them is within chance, and passes if its error is small enough for the precision.
- What is no choice that can be recognised (maps of scores, boxes, embeddings) is judged by figures alone.
- What an evaluation set finds is not in these figures: faults are judged by goldens and calibration samples alone.
"""
_KERNELS = """
An OpenVINO plugin that computes an fp32 artifact in halves is refused though it decides the same: fp32 promises 60 dB, and fp16 is there for such a board ([accuracy.md](accuracy.md)).
"""
_TAIL = """## What these figures do not say

- They are about these models and these kinds of faults, drawn at random within each kind. Faults of one kind in one model are not independent, so the intervals are about
  such models, not about all.
- What a fault does is measured on the samples at hand. One that changes only what none of them shows counts as changing nothing.
- Decisions do not cover all that a model answers: those of `detection_head` are about its scores, not about its boxes. What no decision covers counts as right when it is refused.
- Precisions `as-is` and `int8-mixed`, and the targets `tensorrt` and `openvino2021`, were not tried; so the time that goes into the spread of `as-is` files is not in the costs.
- Weights that ONNX Runtime stores in blocks of 4 bits got no faults: in its `int4-weights`, faults of "classes" and weights are in the layers that stay in floats.
- A fault that changes few decisions is the hardest to see, and no verdict on 16 goldens can see all of them: `--evaluation` with labelled data is what finds the rest.
- "Host" knows the source's answers only; "board" knows how exact the sound file was on the host, too. So it refuses more.
- Kernels and older runtimes ran on x86. What boards of other kinds compute is in [emulated.md](emulated.md); no hardware was involved.
"""


def text(path: Path = RESULTS) -> str:
    """The page."""
    head, rows = load(path)
    sections = [
        _HEAD,
        f"Run: {head['machine']}; {head.get('runtimes', '')}; at most {head['samples']} samples evaluate, {head['seeds']} of each kind of fault an artifact.\n",
        "## Aims\n",
        rates.aims(rows),
        "## The models\n",
        tables.models(rows),
        tables.coverage(rows, head.get("models", ())),
        "## Faults in finished artifacts: refused\n",
        tables.faults(rows),
        "### By rule\n",
        tables.rules(rows),
        "### Real faults that are missed: above 5 % of the decisions, or a point of accuracy\n",
        tables.missed(rows),
        "### Where the host is weak\n",
        tables.where(rows),
        _WEAK,
        tables.classes(rows),
        "## Right conversions: refused\n",
        rates.sound(rows),
        "### What other limits would do on the host\n",
        "A limit on the SQNR of whole outputs, or on the ratio of their changes from input to input to the error (following), in addition to all existing rules.\n",
        tables.sharper(rows),
        "## Right conversions on other kernels and older runtimes\n",
        tables.kernels(rows),
        _KERNELS,
        "## Mistakes before source and artifact\n",
        tables.before(rows),
        "## What the verdict costs\n",
        "Conversions of one process, whose workers and frameworks are started already: on the command line a conversion takes longer, and the verdict is a smaller part of it.\n",
        tables.cost(rows),
        _TAIL,
    ]
    return "\n".join(sections)
