"""Profile: a kind of board."""

from __future__ import annotations

from edgewright.nouns.base import Noun


class Profile(Noun, frozen=True, kw_only=True):
    """One TOML of `edgewright_profiles`. What a certain board has are facts, and facts win.

    Attributes:
        name: file name without `.toml`.
        title: what people call the board.
        architectures: values of `uname -m` the board may have, best first.
        memory_mb: RAM of the smallest variant, MiB.
        cpu: name of its cores, such as `Cortex-A72`; empty where they vary.
        targets: targets that make sense on it, best first.
        precision: default precision for a model converted for it.
        threads: inference threads by default.
        accelerators: names that a budget may ask for, such as `gpu` or `myriad`.
        sensors: sensors the agent will find, such as `vcgencmd` or `tegrastats`.
        models: patterns (fnmatch) of `/proc/device-tree/model` or the DMI product name.
        pythons: Python versions that its usual systems ship.
        runtimes: newest runtime version known to run there, by target, where the newest of all does not.
        source: where the figures come from.
        notes: what a newcomer should know, one sentence each.
        hardware: true once edgewright ran on the real thing.
    """

    schema: int = 1
    name: str
    title: str
    architectures: tuple[str, ...]
    memory_mb: int
    targets: tuple[str, ...]
    precision: str
    threads: int
    cpu: str = ""
    accelerators: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    pythons: tuple[str, ...] = ()
    runtimes: dict[str, str] = {}
    source: str = ""
    notes: tuple[str, ...] = ()
    hardware: bool = False
