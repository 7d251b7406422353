"""What to compile: ModelRequest for any kind of board, CompileRequest for one target, and the Plan that answers it."""

from __future__ import annotations

from edgewright.compile.data.calibration import SampleSet
from edgewright.errors import Code, UsageError
from edgewright.nouns.artifact import Source
from edgewright.nouns.base import Noun
from edgewright.nouns.model_input import DataFile, ModelInput
from edgewright.nouns.profile import Profile
from edgewright.nouns.project import Budget, Project
from edgewright.precisions import EXACT


class ModelRequest(Noun, frozen=True, kw_only=True):
    """A model and what a user wants made of it, for whichever kind of board. `convert` and `deploy` both make one.

    Attributes:
        project: decides by profile what the command line leaves open.
        target: name of a target; None takes the profile's first that fits.
        precision: name of a precision; None leaves it to the project, then to the profile and the source.
        use_cache: take an artifact that was made from the same inputs before.
    """

    model: ModelInput
    project: Project | None = None
    target: str | None = None
    precision: str | None = None
    use_cache: bool = True

    def budget_of(self, profile: Profile, over: Budget | None = None) -> Budget:
        """The project's budget for a profile; keys in `over` replace the project's."""
        base = self.project.budget_for(profile.name) if self.project else Budget()
        given = over or Budget()
        keys = Budget.__struct_fields__
        return Budget(
            **{k: getattr(given, k) if getattr(given, k) is not None else getattr(base, k) for k in keys}
        )

    def precision_of(self, profile: Profile) -> str | None:
        """The precision for a profile; None leaves it to the source's own."""
        if self.precision or self.project is None:
            return self.precision
        return self.project.file.precisions.get(profile.name) or self.project.file.precision


class CompileRequest(Noun, frozen=True, kw_only=True):
    """One compilation.

    Attributes:
        target: name of a target.
        precision: name of a precision. None: `as-is` for a source that is already in the target's own form
            and quantised, or that can go no other way; else `default_precision`.
        default_precision: the profile's or the project's.
        max_drop: greatest drop (`Metric.drop`) from source to artifact on the host; needs an evaluation set.
        opset: the ONNX opset that converters write, where they can choose; a newer one where a model needs it.
        max_opset: newest ONNX opset that may be produced: what the board's runtime reads.
        goldens: how many golden inputs, at least 8.
        use_cache: take an artifact that was made from the same inputs before.
    """

    model: ModelInput
    target: str
    precision: str | None = None
    default_precision: str = EXACT.name
    max_drop: float | None = None
    opset: int = 13
    max_opset: int | None = None
    goldens: int = 16
    use_cache: bool = True


class Plan(Noun, frozen=True, kw_only=True):
    """What `compile_model` would do.

    Attributes:
        steps: what will be done, in order, one short phrase each.
        key: hex sha256 of everything that decides the artifact; the cache's key.
        artifact: id of the artifact that the cache holds for the key, or None.
    """

    source: Source
    target: str
    precision: str
    steps: tuple[str, ...]
    key: str
    artifact: str | None


def sample_set(model: ModelInput) -> SampleSet:
    """The samples for whatever runs the source; for its inputs once they are known (`SampleSet.of`)."""
    given = model.calibration
    path = given.path.absolute() if isinstance(given, DataFile) else None
    return SampleSet(path=path, preprocessing=model.preprocessing)


def check_limit(max_drop: float | None, model: ModelInput) -> None:
    """Raises UsageError for a limit without data to check it."""
    if max_drop is not None and model.evaluation is None:
        raise UsageError(
            "a limit on the drop of accuracy needs labelled data",
            hint="give --evaluation FILE, or leave --max-drop out",
            code=Code.EVALUATION_MISSING,
        )
