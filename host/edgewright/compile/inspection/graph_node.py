"""Node: one operator of a TensorFlow graph, read without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping

from edgewright.nouns.base import Noun


class Node(Noun, frozen=True, kw_only=True):
    """A node of a graph or of a function.

    Attributes:
        inputs: names of its inputs, including control inputs.
        calls: names of functions that it may call.
        strings: its text attributes.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    calls: frozenset[str]
    strings: Mapping[str, bytes]
