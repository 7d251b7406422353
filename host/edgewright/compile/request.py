"""What to compile: ModelRequest for any kind of board, CompileRequest for one target, and Plan, the planned steps."""

from __future__ import annotations

from edgewright.compile.data.calibration import SampleSet
from edgewright.errors import Code, UsageError
from edgewright.nouns.artifact import Source
from edgewright.nouns.base import Noun
from edgewright.nouns.cpu import Cpu
from edgewright.nouns.model_input import DataFile, ModelInput
from edgewright.nouns.profile import Profile
from edgewright.nouns.project import Budget, Project
from edgewright.precisions import EXACT


class ModelRequest(Noun, frozen=True, kw_only=True):
    """A model and the user's options, for any kind of board. Both `convert` and `deploy` make one.

    Attributes:
        project: supplies per profile what the command line does not set.
        target: name of a target; None for the profile's first target that fits.
        precision: name of a precision; None to use the project's, else the profile's and the source's.
        cpu: LLVM's name of the CPU that a target compiles for; None for the profile's.
        use_cache: reuse an artifact made earlier from the same inputs.
    """

    model: ModelInput
    project: Project | None = None
    target: str | None = None
    precision: str | None = None
    cpu: str | None = None
    use_cache: bool = True

    def budget_of(self, profile: Profile, over: Budget | None = None) -> Budget:
        """The project's budget for a profile; keys in `over` override the project's."""
        base = self.project.budget_for(profile.name) if self.project else Budget()
        return (over or Budget()).over(base)

    def precision_of(self, profile: Profile) -> str | None:
        """The precision for a profile; None to leave it to the source."""
        if self.precision or self.project is None:
            return self.precision
        return self.project.file.precisions.get(profile.name) or self.project.file.precision


class CompileRequest(Noun, frozen=True, kw_only=True):
    """One compilation.

    Attributes:
        target: name of a target.
        precision: name of a precision. None means `as-is` for a source that is already quantised or already in
            the target's final format, and `default_precision` for all others.
        default_precision: the profile's or the project's.
        max_drop: greatest drop (`Metric.drop`) allowed from source to artifact on the host; needs an evaluation set.
        opset: the ONNX opset for converters that can choose; a newer one is used if a model needs it.
        max_opset: newest ONNX opset that the board's runtime can read.
        goldens: number of golden inputs, at least 8.
        cpu: what to compile for, for a target that does; None for any CPU of this machine's architecture.
        use_cache: reuse an artifact made earlier from the same inputs.
    """

    model: ModelInput
    target: str
    precision: str | None = None
    default_precision: str = EXACT.name
    max_drop: float | None = None
    opset: int = 13
    max_opset: int | None = None
    goldens: int = 16
    cpu: Cpu | None = None
    use_cache: bool = True


class Plan(Noun, frozen=True, kw_only=True):
    """What `compile_model` would do.

    Attributes:
        steps: the steps in order, one short phrase each.
        key: hex sha256 of everything that determines the artifact; the cache key.
        artifact: id of the artifact that the cache holds for the key, or None.
    """

    source: Source
    target: str
    precision: str
    steps: tuple[str, ...]
    key: str
    artifact: str | None


def sample_set(model: ModelInput) -> SampleSet:
    """The samples for running the source; call `SampleSet.of` once its inputs are known."""
    given = model.calibration
    path = given.path.absolute() if isinstance(given, DataFile) else None
    return SampleSet(path=path, preprocessing=model.preprocessing)


def check_limit(max_drop: float | None, model: ModelInput) -> None:
    """Raises UsageError if there is a limit on the drop but no data to check it."""
    if max_drop is not None and model.evaluation is None:
        raise UsageError(
            "a limit on the drop of accuracy needs labelled data",
            hint="give --evaluation FILE, or leave --max-drop out",
            code=Code.EVALUATION_MISSING,
        )
