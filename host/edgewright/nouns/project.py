"""Project: one `edgewright.toml` beside a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from edgewright.nouns.base import Noun
from edgewright.nouns.conversion import Conversion
from edgewright.nouns.metric import DEFAULT
from edgewright_agent.protocol import HOOK_SECONDS

Limit = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
MAX_DROP = 0.02  # of accuracy, where an evaluation set is given and the budget says nothing
HOOKS = ("activate", "health", "quiesce", "resume")


class Budget(Noun, frozen=True, kw_only=True):
    """The gate of a model on a profile. What is not given is not checked.

    Attributes:
        p50_ms, p95_ms: steady-state latency, milliseconds.
        peak_rss_mb: peak resident memory above the imported runtime's, MiB.
        size_mb: bytes of the artifact's model files, MiB.
        max_drop: how much accuracy may fall against the incumbent and the source (`Metric.drop`): 0.01 is a point of a
            share, and an error (mse, mae) that grew by a hundredth.
        noninferior: the drop's whole 95 % interval has to keep `max_drop`, not only the drop that was seen.
        accelerator: name of the accelerator that every layer must run on.
        max_slowdown: how much slower than the incumbent p50 may be, as a fraction (0.1 is a tenth).
    """

    p50_ms: Limit | None = None
    p95_ms: Limit | None = None
    peak_rss_mb: Limit | None = None
    size_mb: Limit | None = None
    max_drop: Share | None = None
    noninferior: bool | None = None
    accelerator: str | None = None
    max_slowdown: Annotated[float, Meta(ge=0)] | None = None


class Preprocessing(Noun, frozen=True, kw_only=True):
    """How a raw image becomes an input: resize (bilinear), channels, `(x - mean) / std` per channel, layout.

    Attributes:
        size: (height, width) in pixels; without it the model's input shape decides.
        mean, std: per channel, in the units of `scale`d values.
        scale: factor on the raw 0-255 values, applied first.
        channels: `rgb`, `bgr` or `gray`.
        layout: `nhwc` or `nchw`.
        exif_orientation: turn pictures as their EXIF data say. Not written where it was not given: ids of artifacts
            that were made before there was such a key depend on it.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    scale: float = 1.0
    channels: str = "rgb"
    layout: str = "nhwc"
    exif_orientation: bool | UnsetType = UNSET


class Compare(Noun, frozen=True, kw_only=True):
    """What of a model's answers means something.

    Attributes:
        mask: name of an input that is 0 where they do not: padding. It has the outputs' first axes, or those behind their channels.
        function: `module.py:function`, relative to the project file: gives how much of the answers is the same as the source's. It takes
            the place of limits on the error.
        least: what that share has to be.
    """

    mask: str | None = None
    function: str | None = None
    least: Share = 0.99


class Hooks(Noun, frozen=True, kw_only=True):
    """Scripts, paths relative to the project file, run on the board by `/bin/sh`-less exec with a time limit.

    Attributes:
        timeout_s: what each of them may take. What they may is added to a trial's deadline.
    """

    activate: str | None = None
    health: str | None = None
    quiesce: str | None = None
    resume: str | None = None
    timeout_s: Annotated[float, Meta(ge=1, le=3600)] = HOOK_SECONDS


class ProjectFile(Noun, frozen=True, kw_only=True):
    """The whole of `edgewright.toml`.

    Attributes:
        name: the model's name on the boards.
        model: path of the source model, relative to this file.
        version: version of the next release; without it the next whole number is taken.
        precision: precision for all profiles that do not say otherwise.
        precisions: precision by profile name.
        inputs: input name -> static shape, where the model has dynamic axes.
        conversion: what else decides a conversion.
        calibration: path of `.npz`, `.npy` or a folder of images.
        evaluation: path of an `.npz` with the inputs and `labels`, of a folder of labelled images, or
            `module.py:function`.
        metric: name of the metric, or `module.py:function`.
        score: name or index of the output that is scored, where the model has several.
        compare: what of the answers is compared with the source's.
        labels: path of a text file with the classes' names, one a line; kept in the manifest, for `infer`.
        budget: budget for every profile; `budgets` by profile name wins, key by key.
    """

    schema: int = 1
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
    """A project file and the folder its paths are relative to."""

    path: Path
    file: ProjectFile

    def resolve(self, relative: str | None) -> Path | None:
        """A path of the file, relative to the file's own folder."""
        return None if relative is None else (self.path.parent / relative).expanduser()

    def budget_for(self, profile: str | None) -> Budget:
        """The budget of a profile: its own keys over the common ones."""
        common = self.file.budget
        own = self.file.budgets.get(profile or "", Budget())
        merged = {
            key: getattr(own, key) if getattr(own, key) is not None else getattr(common, key)
            for key in Budget.__struct_fields__
        }
        return Budget(**merged)
