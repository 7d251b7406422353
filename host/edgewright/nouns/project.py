"""Project: an `edgewright.toml` next to a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from edgewright.nouns.base import Noun
from edgewright.nouns.conversion import Conversion
from edgewright.nouns.metric import DEFAULT
from edgewright_agent.protocol import HOOK_SECONDS

SCHEMA = (
    2  # of project files: its budgets have `peak_process_mb` and `model_memory_mb` instead of `peak_rss_mb`
)
Limit = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
MAX_DROP = 0.02  # of accuracy, if there is an evaluation set and the budget has no limit
HOOKS = ("activate", "health", "quiesce", "resume")


class Budget(Noun, frozen=True, kw_only=True):
    """The limits of a model on a profile. A limit that is not given is not checked.

    Attributes:
        p50_ms, p95_ms: steady-state latency, milliseconds.
        peak_process_mb: peak memory of the whole process, with Python and the runtime, MiB.
        model_memory_mb: the model's share of it: the peak above what was resident once the runtime was imported, MiB.
        peak_rss_mb: what schema 1 calls `model_memory_mb`.
        size_mb: bytes of the artifact's model files, MiB.
        max_drop: greatest accuracy drop from the incumbent and from the source (`Metric.drop`): 0.01 is one point of a
            share, or an increase of an error (mse, mae) by one per cent.
        noninferior: `max_drop` applies to the whole 95 % interval of the drop, not only to the measured drop.
        accelerator: name of the accelerator that every layer must run on.
        max_slowdown: greatest increase of p50 over the incumbent's, as a fraction (0.1 is a tenth); less than 10 µs never
            counts.
    """

    p50_ms: Limit | None = None
    p95_ms: Limit | None = None
    peak_rss_mb: Limit | None = None
    size_mb: Limit | None = None
    max_drop: Share | None = None
    noninferior: bool | None = None
    accelerator: str | None = None
    max_slowdown: Annotated[float, Meta(ge=0)] | None = None
    peak_process_mb: Limit | UnsetType | None = UNSET  # not in documents without them: ids of plans stay
    model_memory_mb: Limit | UnsetType | None = UNSET

    def over(self, base: Budget) -> Budget:
        """The keys of this budget, and those of `base` where it has none."""
        given = {key: getattr(self, key) for key in self.__struct_fields__}
        given = {key: value for key, value in given.items() if value is not None and value is not UNSET}
        if "peak_rss_mb" in given:  # the same figure by its old name
            given.setdefault("model_memory_mb", UNSET)
        return msgspec.structs.replace(base, **given)


class Preprocessing(Noun, frozen=True, kw_only=True):
    """How a raw image becomes an input: resize (bilinear), channels, `(x - mean) / std` per channel, layout.

    Attributes:
        size: (height, width) in pixels; by default the model's input shape.
        mean, std: per channel, in the units of `scale`d values.
        scale: factor on the raw 0-255 values, applied first.
        channels: `rgb`, `bgr` or `gray`.
        layout: `nhwc` or `nchw`.
        exif_orientation: rotate images as their EXIF data say. Not written if it was not given: ids of artifacts
            made before this key existed depend on that.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    scale: float = 1.0
    channels: str = "rgb"
    layout: str = "nhwc"
    exif_orientation: bool | UnsetType = UNSET


class Compare(Noun, frozen=True, kw_only=True):
    """Which parts of a model's outputs matter.

    Attributes:
        mask: name of an input that is 0 where outputs are meaningless (padding). Its shape matches the outputs' first axes, or those after their
            channels.
        function: `module.py:function`, relative to the project file: returns how similar the outputs are to the source's. It
            replaces limits on the error.
        least: the least similarity required.
    """

    mask: str | None = None
    function: str | None = None
    least: Share = 0.99


class Hooks(Noun, frozen=True, kw_only=True):
    """Scripts, with paths relative to the project file, which boards execute directly (not by `/bin/sh`) with a time limit.

    Attributes:
        timeout_s: time limit of each script, s. These limits are added to a trial's deadline.
    """

    activate: str | None = None
    health: str | None = None
    quiesce: str | None = None
    resume: str | None = None
    timeout_s: Annotated[float, Meta(ge=1, le=3600)] = HOOK_SECONDS


class ProjectFile(Noun, frozen=True, kw_only=True):
    """The contents of `edgewright.toml`.

    Attributes:
        name: the model's name on the boards.
        model: path of the source model, relative to this file.
        version: version of the next release; by default the next integer.
        precision: precision for all profiles not in `precisions`.
        precisions: precision by profile name.
        inputs: input name -> static shape, if the model has dynamic axes.
        conversion: other conversion options.
        calibration: path of `.npz`, `.npy` or a folder of images.
        evaluation: path of an `.npz` with the inputs and `labels`, of a folder of labelled images, or
            `module.py:function`.
        metric: name of the metric, or `module.py:function`.
        score: name or index of the output to score, if the model has several.
        compare: which parts of the outputs are compared with the source's.
        labels: path of a text file with the classes' names, one per line; stored in the manifest, for `infer`.
        budget: budget for every profile.
        budgets: budgets by profile name; they override `budget` key by key.
    """

    schema: int = 1  # of a file that says nothing
    name: str
    model: str
    version: str | None = None
    precision: str | None = None
    precisions: dict[str, str] = {}
    inputs: dict[str, tuple[int, ...]] = {}
    conversion: Conversion = Conversion()
    calibration: str | None = None
    evaluation: str | None = None
    metric: str = DEFAULT
    score: str | int | None = None
    preprocessing: Preprocessing | None = None
    compare: Compare = Compare()
    labels: str | None = None
    hooks: Hooks = Hooks()
    budget: Budget = Budget()
    budgets: dict[str, Budget] = {}


class Project(Noun, frozen=True, kw_only=True):
    """A project file and the folder that its paths are relative to."""

    path: Path
    file: ProjectFile

    def resolve(self, relative: str | None) -> Path | None:
        """Resolves a path in the file relative to the file's folder."""
        return None if relative is None else (self.path.parent / relative).expanduser()

    def budget_for(self, profile: str | None) -> Budget:
        """The budget for a profile: its own keys override the common ones."""
        return self.file.budgets.get(profile or "", Budget()).over(self.file.budget)
