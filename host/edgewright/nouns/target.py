"""Target: a runtime that a model is compiled to, and which wheels of it run where."""

from __future__ import annotations

from edgewright.nouns.base import Noun
from edgewright.nouns.precision import AS_IS


class RuntimeRow(Noun, frozen=True, kw_only=True):
    """One wheel of a runtime. A target lists them best first: take the first that fits a board.

    Attributes:
        distribution: name on the package index, also the `<distribution>` of `system:<distribution>`.
        version: exact version.
        python: first and last minor version, both included, such as `3.9-3.13`.
        archs: values of `uname -m` that wheels exist for.
        glibc: least glibc version; there are no wheels for musl.
        requires: everything else that has to be on the path for `runner.load` to work, as requirement
            specifiers, and nothing that it can do without: the wheels' own metadata ask for more (protobuf,
            tqdm, packaging, ...). Resolve these with `--no-deps`.
        own: what the board's own Python must have instead, as requirement specifiers, for want of wheels.
        caps: newest of each kind that it reads, such as `{"opset": 21, "ir": 10}`, as in manifests.
    """

    distribution: str
    version: str
    python: str
    archs: tuple[str, ...]
    glibc: str
    requires: tuple[str, ...]
    own: tuple[str, ...] = ()
    caps: dict[str, int] = {}

    def fits(self, python: str, arch: str, glibc: str) -> bool:
        """Whether the wheel runs on a board with this Python (`3.9.2`), `uname -m` and glibc (`2.31`)."""
        first, last = self.python.split("-")
        minor = numbers(python)[:2]
        return (
            arch in self.archs
            and numbers(first) <= minor <= numbers(last)
            and numbers(glibc) >= numbers(self.glibc)
        )

    def lacks(self, requires: dict[str, int]) -> dict[str, tuple[int, int]]:
        """What an artifact requires beyond the caps: `{kind: (required, newest that is read)}`."""
        return beyond(self.caps, requires)


class Route(Noun, frozen=True, kw_only=True):
    """One edge: how a source format gets to a target.

    Attributes:
        stages: (worker, module below `edgewright_targets`), in order; a module's `convert(work)` does it.
        precisions: names of those that this way can make; None: all of the target's.
        toolchains: names of the toolchains that its stages call.
        tools: distributions that its stages need besides the source's framework and the target's tools.
    """

    stages: tuple[tuple[str, str], ...]
    precisions: tuple[str, ...] | None = None
    toolchains: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


class Target(Noun, frozen=True, kw_only=True):
    """The `TARGET` of one `edgewright_targets/<name>/target.py`.

    Attributes:
        entry: stable file name of the file that the runtime opens.
        precisions: names of `PRECISIONS` that its converter can make.
        framework: worker that the runner runs in on the host.
        host_runner: its module that runs artifacts on the host, where that is not `runner` itself.
        max_opset: newest ONNX opset that its stages read; None: any.
        integer_bits: that it computes whole numbers in, whatever the model says.
        float64: it computes in float64 what the model does; elsewhere that becomes float32.
        tools: distributions that make its artifacts, besides the source's framework.
        routes: source format -> the way from there.
        as_is: the same for a source that goes through unchanged (precision `as-is`).
        calibration_methods: names of the ways that it has to fix the ranges of activations, the default first.
        accelerators: names that its runner may take, `cpu` first.
        hardware: accelerator of its own -> what of a board it is, where facts call that by another name.
        requirements: distributions that every runtime of it needs besides itself.
        runtimes: wheels, best first.
        caps: distribution -> version -> what it reads from that version on, for runtimes that boards have already.
    """

    name: str
    title: str
    entry: str
    precisions: tuple[str, ...]
    framework: str
    host_runner: str = "runner"
    max_opset: int | None = None
    integer_bits: int = 64
    float64: bool = False
    tools: tuple[str, ...]
    routes: dict[str, Route]
    as_is: dict[str, Route]
    calibration_methods: tuple[str, ...]
    accelerators: tuple[str, ...]
    hardware: dict[str, str] = {}
    requirements: tuple[str, ...]
    runtimes: tuple[RuntimeRow, ...]
    caps: dict[str, dict[str, dict[str, int]]] = {}

    @property
    def sources(self) -> tuple[str, ...]:
        """Source formats that it takes, sorted."""
        return tuple(sorted({*self.routes, *self.as_is}))

    def precisions_from(self, source: str) -> tuple[str, ...]:
        """Names of the precisions that a source format can get, in the target's order."""
        route = self.routes.get(source)
        made = () if route is None else route.precisions or self.precisions
        return tuple(
            name for name in self.precisions
            if (source in self.as_is if name == AS_IS else name in made)
        )  # fmt: skip

    def caps_of(self, distribution: str, version: str) -> dict[str, int]:
        """What a runtime reads; empty where nothing is known of it, so that the board itself decides.

        Args:
            distribution: also one built for an accelerator, such as `onnxruntime-gpu`.
        """
        for row in self.runtimes:
            if (row.distribution, row.version) == (distribution, version):
                return row.caps
        known = next((self.caps[name] for name in self.caps if f"{distribution}-".startswith(f"{name}-")), {})
        older = [since for since in known if numbers(since) <= numbers(version)]
        return known[max(older, key=numbers)] if older else {}

    def lacks(self, distribution: str, version: str, requires: dict[str, int]) -> dict[str, tuple[int, int]]:
        """What an artifact requires beyond a runtime's caps: `{kind: (required, newest that is read)}`."""
        return beyond(self.caps_of(distribution, version), requires)

    def runtimes_for(self, python: str, arch: str, glibc: str) -> list[RuntimeRow]:
        """The rows that fit a board, best first. Empty: no wheel runs there."""
        return [row for row in self.runtimes if row.fits(python, arch, glibc)]


def beyond(caps: dict[str, int], requires: dict[str, int]) -> dict[str, tuple[int, int]]:
    """`{kind: (required, cap)}` of everything that is required beyond a cap."""
    return {kind: (value, caps[kind]) for kind, value in requires.items() if value > caps.get(kind, value)}


def numbers(version: str) -> tuple[int, ...]:
    """`3.9.2` -> (3, 9, 2); what is not a number ends it, so an unknown version is below every other."""
    found: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)
