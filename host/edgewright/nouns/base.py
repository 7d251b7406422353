"""The base of all records: frozen, and strict about keys and types."""

from __future__ import annotations

import msgspec


class Noun(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=False, kw_only=True):
    """A frozen record. Reading one from TOML or JSON checks every key and type (by msgspec)."""
