"""Judges a move of the search: converts the model and compares the artifact with the source on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgewright import targets
from edgewright.compile.explain import to_keep
from edgewright.compile.formats import target_for
from edgewright.compile.graph.float_groups import Keepable
from edgewright.compile.inspection import code_fingerprint
from edgewright.compile.pipeline import compile_model, plan
from edgewright.compile.quality.accuracy import ROUNDING
from edgewright.compile.quality.verdict.refusal import Unlike
from edgewright.compile.request import CompileRequest
from edgewright.compile.workers.pool import Workers
from edgewright.config import home
from edgewright.errors import Code, ConversionError, EdgewrightError, UsageError
from edgewright.files import write_atomic
from edgewright.measure.search import fallback
from edgewright.measure.search.engine import Limits, Move, SearchResult, Verdict, search
from edgewright.nouns.artifact import Artifact, Manifest, Parity
from edgewright.nouns.base import Noun
from edgewright.nouns.progress import Progress, silent
from edgewright.nouns.verdict import OutputVerdict
from edgewright.precisions import INT8, PRECISIONS

# faults of the model or the move, which would recur; any other may be the machine's
_PERMANENT = frozenset(
    {
        Code.PARITY, Code.LEVELS, Code.NOTHING_QUANTISED, Code.NO_SUCH_LAYER, Code.KEEP_FLOAT_IGNORED, Code.NOT_KEPT_FLOAT, Code.INTEGER_IO,
        Code.CUSTOM_OPERATORS, Code.OPERATOR_UNKNOWN, Code.MODEL_REFUSED, Code.MODEL_TOO_LARGE, Code.ACCELERATOR_UNSUPPORTED,
        Code.QUANTISED_ALREADY,
    }
)  # fmt: skip

Fits = Callable[[Manifest], object]


class Failure(Noun, frozen=True, kw_only=True):
    """A conversion that failed and would fail again; cached so that it is not repeated."""

    code: str
    why: str
    figures: dict[str, float | None] = msgspec.field(default_factory=dict)


class Judge:
    """Makes artifacts of one source for one target.

    Args:
        request: everything but precision, calibration method and layers in floats; its `max_drop` is the limit.
        fits: raises EdgewrightError for an artifact that the boards' runtimes cannot read.
    """

    def __init__(
        self,
        request: CompileRequest,
        workers: Workers,
        progress: Progress = silent,
        *,
        fits: Fits | None = None,
    ) -> None:
        self._request, self._workers, self._progress, self._fits = request, workers, progress, fits
        self._plain: Artifact | None = None
        self._layers = 0

    def __call__(self, move: Move) -> Verdict:
        """Converts, or takes the artifact from the cache. A converter's refusal is a verdict, not an error.

        Raises:
            ModelError, DataError, UsageError: the source, the data or the request are at fault, whatever the move.
        """
        wanted = self.request_of(move)
        key = plan(wanted).key
        known = _recall(key) if wanted.use_cache else None
        if known is None:
            try:
                artifact = compile_model(wanted, self._progress, self._workers)
            except (ConversionError, UsageError) as error:
                if isinstance(error, UsageError) and error.code != Code.NO_SUCH_LAYER:
                    raise
                known = Failure(code=error.code, why=error.message, figures=_figures_of(error))
                if error.code in _PERMANENT and code_fingerprint.unchanged():
                    _remember(key, known)
        if known is not None:
            return Verdict(
                ok=False, rank=_rank(known.figures), figures=known.figures, why=known.why, code=known.code
            )
        if wanted.precision is not None and PRECISIONS[wanted.precision].exact:
            self._plain = artifact
        return self._verdict(move, artifact)

    def request_of(self, move: Move) -> CompileRequest:
        """The request for a move, without the limit: an artifact that misses it is still a candidate."""
        settings = move.settings
        calibrated = PRECISIONS[settings["precision"]].calibrated
        conversion = msgspec.structs.replace(
            self._request.model.conversion,
            keep_float=tuple(settings["keep_float"]),
            calibration_method=settings["calibration_method"],
            integer_io=self._request.model.conversion.integer_io and calibrated,  # fp32 only names the layers
        )
        model = msgspec.structs.replace(self._request.model, conversion=conversion)
        return msgspec.structs.replace(
            self._request, model=model, precision=settings["precision"], max_drop=None
        )

    def to_keep(self, move: Move) -> Keepable:
        """What can stay in floats, from the fp32 artifact of a move; nothing if there is no such artifact."""
        wanted = self.request_of(move)
        try:
            plain = self._plain or compile_model(wanted, self._progress, self._workers)
        except ConversionError:
            return Keepable()
        found = to_keep(wanted, plain, self._workers)
        self._layers = len(found.layers)
        return found

    def _verdict(self, move: Move, artifact: Artifact) -> Verdict:
        manifest = artifact.manifest
        try:
            if self._fits is not None:
                self._fits(manifest)
        except EdgewrightError as error:  # not a candidate: the boards could not run it
            return Verdict(ok=False, why=error.message)
        figures: dict[str, float | None] = {
            **_exactness(manifest.parity, manifest.verdict),
            "size_mb": manifest.model_bytes / 1024**2,
        }
        why = ""
        if manifest.accuracy is not None:
            known = manifest.accuracy.drop
            drop = manifest.accuracy.source - manifest.accuracy.artifact if known is None else known
            figures.update(accuracy=manifest.accuracy.artifact, drop=drop)
            limit = self._request.max_drop
            if limit is not None and not drop <= limit + ROUNDING:
                why = f"{manifest.accuracy.metric} is worse by {drop:.4f}, by more than {limit:g}"
        rank = _rank(figures) if why else (-fallback.cost(move.settings, self._layers),)
        return Verdict(ok=not why, rank=rank, figures=figures, artifact=artifact.id, why=why)


def fall_back(
    request: CompileRequest,
    limits: Limits,
    workers: Workers,
    progress: Progress = silent,
    *,
    fits: Fits | None = None,
) -> SearchResult:
    """Searches for the precision nearest to int8 that does not lose too much.

    Args:
        request: provides the calibration data, evaluation set and `max_drop`; its precision is ignored.
        fits: as for `Judge`.

    Raises:
        ModelError, DataError, UsageError, ConversionError: no move can be tried.
    """
    first = msgspec.structs.replace(request, precision=INT8.name)
    target = targets.load(request.target)
    source = plan(first).source.format
    wanted = request.model.conversion.calibration_method
    methods = (wanted, *(name for name in target.calibration_methods if name != wanted))
    precisions = tuple(
        name
        for name in target_for(request.target, source).precisions_from(source)
        if PRECISIONS[name].calibrated or not request.model.conversion.integer_io
    )
    choices = fallback.Choices(precisions=precisions, methods=methods)
    judge = Judge(request, workers, progress, fits=fits)
    return search(fallback.moves(choices, judge.to_keep), judge, limits, progress)


def _figures_of(error: EdgewrightError) -> dict[str, float | None]:
    if not isinstance(error, Unlike):
        return {}
    return _exactness(error.parity, error.verdict)


def _exactness(parity: Parity, verdict: Sequence[OutputVerdict]) -> dict[str, float | None]:
    least = [parity.sqnr_db, *(one.least_db for one in verdict if one.least_db is not None)]
    return {"sqnr_db": parity.sqnr_db, "least_db": min(least), "max_relative": parity.max_relative}


def _rank(figures: dict[str, float | None]) -> tuple[float, ...]:
    """Ranks by the least accuracy drop, if measured, then by exactness."""
    drop = figures.get("drop")
    return (-1e9 if drop is None else -drop, fallback.exactness(figures))


def _note(key: str) -> Path:
    return home.folder("trials") / f"{key}.json"


def _recall(key: str) -> Failure | None:
    try:
        known = msgspec.json.decode(_note(key).read_bytes(), type=Failure)
    except (OSError, msgspec.MsgspecError):
        return None
    return known if known.code in _PERMANENT else None


def _remember(key: str, failure: Any) -> None:
    write_atomic(_note(key), msgspec.json.encode(failure))
