"""Whether this machine can tell, before anything is sent, which layers a board's accelerator refuses."""

from __future__ import annotations

from edgewright import targets
from edgewright.compile.toolchains import environments
from edgewright.nouns.base import Noun
from edgewright.nouns.facts import Facts
from edgewright.nouns.finding import ADVICE, Finding
from edgewright.nouns.profile import Profile


class LayerPreflight(Noun, frozen=True, kw_only=True):
    """A target that asks an accelerator's plugin about each layer, on this machine and without the device.

    Attributes:
        accelerator, target: their names.
        max_opset: newest ONNX opset that is given to the plugin as it is; newer ones are rewritten. None for any.
        toolchains: name -> `ready`, `outdated` or `absent`, of those that hold the plugin.
    """

    accelerator: str
    target: str
    max_opset: int | None
    toolchains: dict[str, str]

    @property
    def ready(self) -> bool:
        """Whether all of its toolchains are installed."""
        return all(state == "ready" for state in self.toolchains.values())


def preflights(facts: Facts, profile: Profile) -> tuple[LayerPreflight, ...]:
    """Those of a profile's targets, for accelerators that the board or its profile has."""
    there = {*facts.accelerators, *profile.accelerators}
    loaded = [targets.load(name) for name in profile.targets if name in targets.names()]
    return tuple(
        LayerPreflight(
            accelerator=one.layers.places,
            target=one.name,
            max_opset=one.max_opset,
            toolchains={
                name: environments.describe(name).state
                for name in dict.fromkeys(name for route in one.routes.values() for name in route.toolchains)
            },
        )
        for one in loaded
        if one.layers is not None and one.layers.places in there
    )


def findings(found: tuple[LayerPreflight, ...]) -> list[Finding]:
    """Advice for each that cannot answer, as its toolchain is not installed here."""
    return [
        Finding(
            level=ADVICE,
            message=f"this machine cannot tell which layers {one.accelerator} refuses: toolchain {name} is {state}",
            hint=f"edgewright toolchain install {name}",
        )
        for one in found
        for name, state in one.toolchains.items()
        if state != "ready"
    ]
