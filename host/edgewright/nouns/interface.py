"""Interface: the inputs and outputs that an application relies on."""

from __future__ import annotations

from edgewright.nouns.artifact import Manifest, TensorSpec
from edgewright.nouns.base import Noun

INTERFACE = "interface"  # name of the checks on the interface
ACCEPTED = "accepted: "  # prefix of the note on a change that the user allowed


class Interface(Noun, frozen=True, kw_only=True):
    """The inputs and outputs of a release, in the order of its manifest."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()


def interface_of(manifest: Manifest) -> Interface:
    """The interface of an artifact."""
    return Interface(inputs=manifest.inputs, outputs=manifest.outputs)
