"""Whether the user trusts a model: then what it would run or reach is no reason to refuse it. It stays confined."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from edgewright.errors import ModelError

_TRUSTED: ContextVar[bool] = ContextVar("trusted", default=False)
_WAY_PAST = "if you trust who made it: --trust-model opens it, still without network and other files"


def trusted() -> bool:
    """Whether the model that is looked at, or opened, is trusted."""
    return _TRUSTED.get()


@contextmanager
def trusting(given: bool) -> Iterator[None]:
    """Looks at, or opens, a model that the user trusts or does not, for a block."""
    token = _TRUSTED.set(given)
    try:
        yield
    finally:
        _TRUSTED.reset(token)


def refuse_untrusted(error: ModelError) -> None:
    """Raises the error, unless the model is trusted."""
    if trusted():
        return
    error.hint = "; ".join(filter(None, (error.hint, _WAY_PAST)))
    raise error
