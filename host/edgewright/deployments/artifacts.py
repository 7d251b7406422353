"""Builds the artifact of each board: one conversion per target, precision and CPU, if the target compiles for one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from edgewright import targets
from edgewright.compile.formats import targets_of
from edgewright.compile.pipeline import PlannedCompilation, carry_out, prepare
from edgewright.compile.request import CompileRequest, ModelRequest
from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.deployments.request import DeployRequest
from edgewright.errors import Code, ConversionError, DataError, EdgewrightError, UsageError
from edgewright.nouns import cpu as cpus
from edgewright.nouns.artifact import Artifact
from edgewright.nouns.base import Noun
from edgewright.nouns.cpu import Cpu
from edgewright.nouns.facts import Facts
from edgewright.nouns.model_input import Absent, ModelInput
from edgewright.nouns.policy import ReleasePolicy
from edgewright.nouns.profile import Profile
from edgewright.nouns.progress import Progress
from edgewright.precisions import EXACT, PRECISIONS, offered, usable
from edgewright.runtimes.profile_match import userland


class Recipe(Noun, frozen=True, kw_only=True):
    """A target, the requested precision (None: use `default_precision`), the accelerator it must run on, and the CPU to compile for."""

    target: str
    precision: str | None
    default_precision: str
    accelerator: str = ""
    max_opset: int | None = None
    cpu: Cpu | None = None


def recipe_of(
    wanted: ModelRequest, profile: Profile, source_format: str, accelerator: str | None = None
) -> Recipe:
    """The recipe for a profile and a source format.

    Args:
        accelerator: from the command line; None takes the budget's or the project's.

    Raises:
        UsageError: there is no such target.
        ConversionError: the source cannot be converted to any target of the profile.
    """
    if wanted.target:
        targets.load(wanted.target)
    possible = targets_of(source_format)
    asked = (wanted.target,) if wanted.target else profile.targets
    for target in asked:
        if target in possible:
            return Recipe(
                target=target,
                precision=wanted.precision_of(profile),
                default_precision=default_precision(wanted.model, profile, target),
                accelerator=accelerator_of(wanted, profile, accelerator),
                cpu=cpu_of(wanted, profile, target),
            )
    raise ConversionError(
        f"no conversion from {source_format} to {' or '.join(asked)}, the targets of {profile.name}",
        hint=f"from {source_format} there is: {', '.join(possible) or 'none'}; `edgewright targets` lists all",
        code=Code.NO_EDGE,
    )


def compile_request(wanted: ModelRequest, recipe: Recipe) -> CompileRequest:
    """The compilation for a recipe: the only place where `convert` and `deploy` create one."""
    conversion = msgspec.structs.replace(wanted.model.conversion, accelerator=recipe.accelerator)
    return CompileRequest(
        model=msgspec.structs.replace(wanted.model, conversion=conversion),
        target=recipe.target,
        precision=recipe.precision,
        default_precision=recipe.default_precision,
        max_opset=recipe.max_opset,
        cpu=recipe.cpu,
        use_cache=wanted.use_cache,
    )


def cpu_of(wanted: ModelRequest, profile: Profile, name: str) -> Cpu | None:
    """The CPU to compile for: the user's, else the profile's. None for a target whose artifacts run on every CPU.

    Args:
        name: of the target.

    Raises:
        UsageError: no such CPU is known, or the target does not compile for one.
        ConversionError: the target does not compile for the profile's architectures.
    """
    target = targets.load(name)
    if not target.compiles_for:
        if wanted.cpu:
            raise UsageError(f"{name} does not compile for a CPU: {wanted.cpu}", hint="leave --cpu out")
        return None
    arch = profile.architectures[0]
    if arch not in target.compiles_for:
        raise ConversionError(
            f"{name} does not compile for {arch}, the architecture of {profile.name}",
            hint=f"it compiles for {', '.join(target.compiles_for)}; take another target",
            code=Code.NO_EDGE,
        )
    if not wanted.cpu:
        return cpus.of_board(arch, profile.cpu)
    named = cpus.CPUS.get((arch, wanted.cpu))
    if named is None:
        known = ", ".join(one.name for one in cpus.of_arch(arch))
        raise UsageError(f"no such CPU of {arch}: {wanted.cpu}", hint=f"known are {known}")
    return named


def with_cpu(profile: Profile, facts: Facts) -> Profile:
    """The profile with the CPU of a board: the known one of that name, else the best whose code the board runs; unchanged if that is unknown."""
    arch = userland(facts)
    if arch != profile.architectures[0] or not facts.cpu_features or not cpus.of_arch(arch):
        return profile
    return msgspec.structs.replace(profile, cpu=cpus.of_machine(arch, facts.cpu, facts.cpu_features).name)


def default_precision(model: ModelInput, profile: Profile, target: str) -> str:
    """The profile's precision if the target supports it and its requirements are given; else 32-bit floats."""
    found = usable(
        profile.precision,
        targets.load(target).precisions,
        data=not isinstance(model.calibration, Absent),
        layers=bool(model.conversion.keep_float),
    )
    return profile.precision if found else EXACT.name


def default_note(model: ModelInput, profile: Profile, target: str, taken: str) -> str:
    """A line for people if the profile's precision was not used because something that it needs is missing; else empty.

    Args:
        taken: the precision that was used.
    """
    wanted = profile.precision
    if wanted == taken or not offered(targets.load(target).precisions, wanted):
        return ""
    if PRECISIONS[wanted].calibrated and isinstance(model.calibration, Absent):
        lacking, cure = "calibration data", "--calibration FILE"
    elif PRECISIONS[wanted].mixed and not model.conversion.keep_float:
        lacking, cure = "the layers that stay in floats", "--keep-float LAYER"
    else:
        return ""
    return f"{taken} was taken: {wanted}, the default of {profile.name}, needs {lacking}; give {cure}"


def accelerator_of(wanted: ModelRequest, profile: Profile, given: str | None) -> str:
    """The accelerator that the user, the budget or the project names; empty if any is acceptable."""
    named = given or wanted.budget_of(profile).accelerator or wanted.model.conversion.accelerator
    return "" if named in ("cpu", "auto") else named


def check_synthetic(policy: ReleasePolicy, artifact: Artifact) -> None:
    """Raises DataError if an artifact was calibrated with synthetic data and the policy does not allow that."""
    if artifact.manifest.calibration.kind == "synthetic" and not policy.allow_synthetic:
        raise DataError(
            "the artifact was calibrated with synthetic data: its answers on real inputs are unknown",
            hint="give --calibration FILE, or --allow-synthetic to ship it all the same",
            code=Code.SYNTHETIC_CALIBRATION,
        )


class Builder:
    """Builds each recipe once.

    Args:
        request: names the source, or an artifact to ship unchanged to every board.
    """

    def __init__(self, request: DeployRequest, source_format: str, progress: Progress) -> None:
        self._request = request
        self._format = source_format
        self._progress = progress
        self._planned: dict[Recipe, PlannedCompilation] = {}
        self._lock = threading.Lock()
        self._built: dict[Recipe, Artifact | EdgewrightError] = {}

    def converts(self, profile: Profile, max_opset: int | None = None) -> bool:
        """Whether `build` (with `max_opset`: `rebuild`) would convert something for a profile; False if it would fail."""
        if self._request.artifact is not None:
            return False
        try:
            return self._plan(self._recipe(profile, max_opset)).plan.artifact is None
        except EdgewrightError:
            return False

    def needs_cpu(self, profile: Profile) -> bool:
        """Whether the artifact for a profile is compiled for a CPU that neither the user nor the profile names; False if building would fail."""
        if self._request.artifact is not None or self._request.wanted.cpu or profile.cpu:
            return False
        try:
            return self._recipe(profile, None).cpu is not None
        except EdgewrightError:
            return False

    def build(
        self, profiles: Sequence[Profile], workers: Workers | None = None
    ) -> list[Artifact | EdgewrightError]:
        """The artifact of each profile, or the error: a failure for one profile does not affect the others."""
        with ExitStack() as stack:
            used = workers or stack.enter_context(
                Workers(home.folder("logs") / "convert.log", progress=self._progress)
            )
            return [self._of(profile, used) for profile in profiles]

    def rebuild(
        self, wanted: Sequence[tuple[Profile, int]], workers: Workers | None = None
    ) -> list[Artifact | EdgewrightError]:
        """The artifact of each profile, with at most the given ONNX opset."""
        with ExitStack() as stack:
            used = workers or stack.enter_context(
                Workers(home.folder("logs") / "convert.log", progress=self._progress)
            )
            return [self._of(profile, used, opset) for profile, opset in wanted]

    def _of(
        self, profile: Profile, workers: Workers, max_opset: int | None = None
    ) -> Artifact | EdgewrightError:
        given = self._request.artifact
        try:
            if given is not None:
                check_synthetic(self._request.policy, given)
                return given
            recipe = self._recipe(profile, max_opset)
        except EdgewrightError as error:
            return error
        if recipe not in self._built:
            try:
                self._built[recipe] = self._compile(recipe, workers)
            except EdgewrightError as error:
                self._built[recipe] = error
        return self._built[recipe]

    def _recipe(self, profile: Profile, max_opset: int | None) -> Recipe:
        recipe = recipe_of(self._request.wanted, profile, self._format, self._request.policy.accelerator)
        return msgspec.structs.replace(recipe, max_opset=max_opset)

    def _plan(self, recipe: Recipe) -> PlannedCompilation:
        """The recipe's compilation; planned once, since its cache key takes the hashes of the model and its data."""
        with self._lock:  # boards are asked at once
            if recipe not in self._planned:
                self._planned[recipe] = prepare(compile_request(self._request.wanted, recipe))
            return self._planned[recipe]

    def _compile(self, recipe: Recipe, workers: Workers) -> Artifact:
        artifact = carry_out(self._plan(recipe), self._progress, workers)
        check_synthetic(self._request.policy, artifact)
        return artifact
