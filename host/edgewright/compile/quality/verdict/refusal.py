"""Refusals: what is wrong with an artifact's outputs, in one line, with the fix for its cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from edgewright import targets
from edgewright.compile.quality.verdict.classes import most_unequal
from edgewright.compile.quality.verdict.description import percent, place
from edgewright.compile.quality.verdict.judge import Judged, Suspect
from edgewright.errors import Code, ConversionError
from edgewright.nouns.artifact import Manifest, Parity, TensorSpec
from edgewright.nouns.verdict import Compared, OutputVerdict
from edgewright.precisions import EXACT, HALVES, MIXED, PRECISIONS, limits

_NAMED = 3
_ENOUGH = 100  # with this many calibration samples, more do not help much


class Unlike(ConversionError):
    """An artifact's outputs differ too much from its source's. `parity` and `verdict` have the figures."""

    code = Code.PARITY

    def __init__(
        self, message: str, *, hint: str, parity: Parity, verdict: tuple[OutputVerdict, ...] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.parity, self.verdict = parity, verdict

    def and_so(self, more: str) -> Unlike:
        """The same error, with its consequence."""
        return Unlike(f"{self.message}; {more}", hint=self.hint, parity=self.parity, verdict=self.verdict)


@contextmanager
def after(misfits: Sequence[str]) -> Iterator[None]:
    """Refusals within begin their hint with data in another range than the model expects: their most likely cause.

    Args:
        misfits: of `input_ranges`.
    """
    try:
        yield
    except Unlike as error:
        if misfits:
            error.hint = f"correct the data first ({'; '.join(misfits)}), then {error.hint}"
        raise


def refuse(judged: Sequence[Judged], manifest: Manifest, parity: Parity) -> Unlike | None:
    """Raises Unlike for the first fault; returns it if whole outputs are merely less exact than required.

    Args:
        judged: one per output; their suspects are lost.
    """
    verdict = tuple(one.verdict for one in judged)
    what = f"{manifest.target} {manifest.precision}"
    for says in (_wrong, _elsewhere, _still, _unequal, _beyond, _lost, _classes_lost, _chooses):
        for one, spec in zip(judged, manifest.outputs, strict=True):
            if found := says(one, spec, manifest):
                message, hint = found
                error = Unlike(f"{what}: {message}", hint=hint, parity=parity, verdict=verdict)
                if says in (_beyond, _chooses) and not any(_parts_lost(other) for other in judged):
                    return error
                raise error
    return None


def dissimilar(
    compared: Compared, manifest: Manifest, parity: Parity, verdict: tuple[OutputVerdict, ...]
) -> Unlike:
    """The error for outputs of which the user's own function finds too few the same."""
    share, least = percent(compared.share), percent(compared.least)
    message = f"{manifest.target} {manifest.precision}: {compared.function} finds {share} of the answers the same, of at least {least}"
    return Unlike(message, hint=_cure(manifest), parity=parity, verdict=verdict)


def _wrong(one: Judged, spec: TensorSpec, manifest: Manifest) -> tuple[str, str] | None:
    """The refusal of values that are not finite, or of infinities and huge constants that do not match."""
    if not one.wrong:
        return None
    values = "a value" if one.wrong == 1 else f"{one.wrong} values"
    are = "is" if one.wrong == 1 else "are"
    return (
        f"{values} of output {spec.name} {are} not finite, or not as infinite as the source's",
        f"numbers overflow on the way: take {EXACT.name}, or another target"
        if not PRECISIONS[manifest.precision].exact
        else "the converter changed the model: try another target",
    )


def _elsewhere(one: Judged, spec: TensorSpec, manifest: Manifest) -> tuple[str, str] | None:
    """The refusal of slices that are present at other indexes."""
    moved = [suspect for suspect in one.suspects if suspect.instead is not None]
    if not moved:
        return None
    beside = [suspect for suspect in one.suspects if suspect.axis == moved[0].axis][:_NAMED]
    if any(suspect.instead is None for suspect in beside):
        return None
    places = _some([f"{_place(suspect, one, spec)} is at index {suspect.instead}" for suspect in moved])
    return (
        f"slices of output {spec.name} are in other places: {places}",
        f"what converts to {manifest.target} changed the order: try another target",
    )


def _still(one: Judged, spec: TensorSpec, manifest: Manifest) -> tuple[str, str] | None:
    """The refusal of a whole output that does not follow the source."""
    if not one.suspects or one.suspects[0].axis is not None:
        return None
    return (
        f"output {spec.name} does not follow the source's: its error is larger than all that the source changes "
        f"({one.suspects[0].signal_db:.1f} dB, at least 0; the SQNR is {one.sqnr_db:.1f} dB)",
        _cure(manifest),
    )


def _lost(one: Judged, spec: TensorSpec, manifest: Manifest) -> tuple[str, str] | None:
    """The refusal of slices that do not follow the source."""
    if not one.suspects:
        return None
    slices = _some([f"{_place(lost, one, spec)} ({lost.signal_db:.1f} dB)" for lost in one.suspects])
    return (
        f"lost in output {spec.name}: {slices}; that is what the source changes there to the error, "
        f"which hides it or is far larger than elsewhere: all of the output has {one.sqnr_db:.1f} dB",
        _cure(manifest),
    )


def _place(suspect: Suspect, one: Judged, spec: TensorSpec) -> str:
    return place(spec, one.verdict, suspect.axis or 0, suspect.at)


def _unequal(one: Judged, spec: TensorSpec, manifest: Manifest) -> tuple[str, str] | None:
    """The refusal of a class output in which too many values differ."""
    verdict = one.verdict
    if verdict.equal is None or not one.low:
        return None
    return (
        f"output {spec.name} differs from the source's in {one.unequal} places, of at most {verdict.limits.unequal} "
        f"({verdict.equal:.2%} are equal)",
        _cure(manifest),
    )


def _beyond(one: Judged, spec: TensorSpec, manifest: Manifest) -> tuple[str, str] | None:
    """The refusal of a whole output whose error is too large."""
    verdict, tolerance = one.verdict, manifest.goldens.tolerance
    if verdict.equal is not None:
        return None
    if one.low:
        return (
            f"output {spec.name} differs from the source's: SQNR {one.sqnr_db:.1f} dB of at least {tolerance.sqnr_db:g}, "
            f"relative error {one.relative:.3g} of at most {tolerance.relative:g}",
            _cure(manifest),
        )
    if one.still and verdict.following_db is not None:
        return (
            f"output {spec.name} does not follow the source's: {verdict.following_db:.1f} dB of what changes from input to input, "
            f"of at least {PRECISIONS[manifest.precision].following_db:g} (SQNR of all {one.sqnr_db:.1f} dB)",
            _cure(manifest),
        )
    return None


def _parts_lost(one: Judged) -> bool:
    return bool(one.suspects or (one.chosen and one.chosen.lost))


def _classes_lost(one: Judged, spec: TensorSpec, manifest: Manifest) -> tuple[str, str] | None:
    """The refusal of classes that the artifact hardly ever chooses when the source does."""
    if one.chosen is None or not one.chosen.lost:
        return None
    named = _some([f"class {index} in {kept:g} of {there} samples" for index, there, kept in one.chosen.lost])
    return (
        f"classes of output {spec.name} are lost: where the source chooses it, the artifact chooses {named}",
        _cure(manifest),
    )


def _chooses(one: Judged, spec: TensorSpec, manifest: Manifest) -> tuple[str, str] | None:
    """The refusal of an output with too many different choices."""
    chosen, least = one.chosen, limits(manifest.precision).equal
    if chosen is None or not chosen.refused(least):
        return None
    return (
        f"output {spec.name} chooses otherwise than the source's in {chosen.unexplained:g} of {chosen.samples} samples, "
        f"of at most {most_unequal(chosen.samples, least)}",
        f"{_cure(manifest)}; if its greatest value is not what counts, `[compare] function` in the project file says what does",
    )


def _some(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    return f"{', '.join(parts[:_NAMED])}{more}"


def _cure(manifest: Manifest) -> str:
    """The remedy, by the likely cause."""
    precision, random = PRECISIONS[manifest.precision], manifest.goldens.origin == "random"
    if precision.exact:
        real = "give --calibration data like its real inputs (these were random), or " if random else ""
        if any("float64" in note and "became float32" in note for note in manifest.notes):
            wide = [] if targets.load(manifest.target).float64 else targets.widest()
            other = f", or take --target {wide[0]}, which computes in float64" if wide else ""
            return (
                f"{real}float64 became float32, in which large numbers such as times have no digits left: "
                f"subtract the offset before the model{other}"
            )
        if any("computed in 32 bits" in note for note in manifest.notes):
            return f"{real}this target computes whole numbers in 32 bits: make them smaller, or take --target {targets.widest()[0]}"
        return f"{real}try another target: this converter computes something else"
    if precision.cure:
        return precision.cure
    if not precision.calibrated:
        return f"take {HALVES.name} or {EXACT.name}, or let --fallback search; another target may round less"
    few = manifest.calibration.samples
    if random:
        data = "give --calibration data like its real inputs, "
    else:
        data = f"give more calibration data than {few} samples, " if few < _ENOUGH else ""
    return (
        f"{data}let --fallback search what has to stay in floats, name it with --precision {MIXED.name} "
        "--keep-float LAYER, "
        "or take another target"
    )
