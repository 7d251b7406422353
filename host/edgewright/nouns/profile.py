"""Profile: a kind of board."""

from __future__ import annotations

from edgewright.nouns.base import Noun


class Profile(Noun, frozen=True, kw_only=True):
    """One TOML file of `edgewright_profiles`. A particular board's facts override it.

    Attributes:
        name: file name without `.toml`.
        title: what people call the board.
        architectures: values of `uname -m` that the board may have, best first.
        memory_mb: RAM of the smallest variant, MiB.
        cpu: name of its cores, such as `Cortex-A72`; empty if they vary.
        targets: targets that make sense on it, best first.
        precision: default precision of models for it.
        threads: default number of inference threads.
        accelerators: names that a budget may ask for, such as `gpu` or `myriad`.
        sensors: sensors that the agent will find, such as `vcgencmd` or `tegrastats`.
        models: patterns (fnmatch) of `/proc/device-tree/model` or the DMI product name.
        pythons: Python versions that its usual systems ship.
        runtimes: by target, the newest runtime version known to run there, if the latest does not.
        source: the source of the figures.
        notes: advice for newcomers, one sentence each.
        hardware: whether edgewright has run on the real board.
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
