"""Target: a runtime that models are compiled for, and where its wheels run."""

from __future__ import annotations

from edgewright.nouns.base import Noun
from edgewright.nouns.precision import AS_IS


class RuntimeRow(Noun, frozen=True, kw_only=True):
    """One wheel of a runtime. A target lists them best first: the first one that fits a board is used.

    Attributes:
        distribution: name on the package index, also the `<distribution>` of `system:<distribution>`.
        version: exact version.
        python: first and last minor version, both included, such as `3.9-3.13`.
        archs: values of `uname -m` that wheels exist for.
        glibc: least glibc version; there are no wheels for musl.
        requires: the distributions that `runner.load` needs besides the wheel, as requirement specifiers, and no
            others: the wheels' metadata ask for more (protobuf, tqdm, packaging, ...). They are resolved with
            `--no-deps`.
        own: what the board's own Python must have, as requirement specifiers, because there are no wheels.
        files: patterns (fnmatch) of the wheel's files that `runner.load` needs; boards get these and the metadata. Empty for all.
            A wheel that a user gives is sent whole.
        required_files: the same for the wheels of `requires`, by distribution.
        caps: newest version of each kind that it can read, such as `{"opset": 21, "ir": 10}`, as in manifests.
    """

    distribution: str
    version: str
    python: str
    archs: tuple[str, ...]
    glibc: str
    requires: tuple[str, ...]
    own: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    required_files: dict[str, tuple[str, ...]] = {}
    caps: dict[str, int] = {}

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """`{distribution: files}` of the wheels of which boards get a part; empty if they get whole wheels."""
        return {**({self.distribution: self.files} if self.files else {}), **self.required_files}

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
        """What an artifact requires beyond the caps: `{kind: (required, newest supported)}`."""
        return beyond(self.caps, requires)


class SystemRuntime(Noun, frozen=True, kw_only=True):
    """A distribution that may be part of a board's system and that runs a target's artifacts.

    Attributes:
        since, before: its supported versions: from `since` on, older than `before`. Empty for no bound.
    """

    distribution: str
    since: str = ""
    before: str = ""

    def covers(self, distribution: str, version: str) -> bool:
        """Whether a distribution and version are this runtime."""
        if distribution != self.distribution:
            return False
        at_least = not self.since or numbers(version) >= numbers(self.since)
        return at_least and (not self.before or numbers(version) < numbers(self.before))


class Route(Noun, frozen=True, kw_only=True):
    """A route from a source format to a target.

    Attributes:
        stages: (worker, module), in order; each module has a `convert(context)`. The module is `<target>.<name>`, or
            `_onnx.<name>` for a conversion to ONNX that targets share.
        precisions: names of the precisions that this route can make; None for all of the target's.
        toolchains: names of the toolchains that its stages call.
        tools: distributions that its stages need besides the source's framework and the target's tools.
    """

    stages: tuple[tuple[str, str], ...]
    precisions: tuple[str, ...] | None = None
    toolchains: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


class LayerReader(Noun, frozen=True, kw_only=True):
    """How to read the layers of a target's artifacts, for `convert --explain` and the search for layers to keep in floats.

    Attributes:
        module: has `shipped(path)`, rows of `Operation` of the file, and `executed(path)`, those of the graph that the
            runtime runs, or None if that cannot be read on the host.
        named_by_source: source formats whose own layer names `--keep-float` takes.
        named_by_stage: source format -> a module that runs like int8-mixed up to the last stage, and lists the layers.
        masked_products: products with masks can be kept in floats as a group.
        float_by_default: kinds of groups that every calibrated precision leaves in floats, so that they are not searched.
        notes: remarks for every explanation.
        places: an accelerator of which `placed(path)` of the module tells, without the device, which layers it runs: rows with
            `name`, `operator` and `taken`, or None if that is not known here. Empty if there is no such function.
    """

    module: str
    named_by_source: tuple[str, ...] = ()
    named_by_stage: dict[str, str] = {}
    masked_products: bool = False
    float_by_default: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    places: str = ""


class Target(Noun, frozen=True, kw_only=True):
    """A target: the `TARGET` of one `edgewright_targets/<name>/target.py`, or of a plug-in.

    Modules are named `<target>.<name>`, below `edgewright_targets` or the plug-in's own package.

    Attributes:
        entry: stable file name of the file that the runtime opens.
        precisions: names of `PRECISIONS` that its converter can make.
        framework: worker that the runner runs in on the host.
        host_runner: module that runs artifacts on the host, if not `<target>.runner`, which is sent to boards.
        layers: how to read the layers of its artifacts; None if they cannot be explained or searched.
        steps: module with `tails(path, outputs)`, how finely outputs are quantised; empty if levels are not checked.
        max_opset: newest ONNX opset that its stages read; None for any.
        integer_bits: width in which it computes integers, whatever the model says.
        float64: it computes in float64 where the model does; other targets use float32.
        sums_vary: in calibrated precisions, results on boards may vary by CPU, so that the host's error says little about them.
        tools: distributions that make its artifacts, besides the source's framework.
        routes: source format -> its route.
        as_is: the same for sources that are passed through unchanged (precision `as-is`).
        calibration_methods: names of its methods to fix the ranges of activations, the default first.
        accelerators: names that its runner accepts, `cpu` first.
        hardware: the target's name of an accelerator -> its name in a board's facts, if they differ.
        requirements: distributions that each of its runtimes needs besides itself.
        compiles_for: architectures, as `uname -m` names them, that it compiles machine code for. An artifact then runs on one kind of CPU,
            and boards that differ in it get different ones. Empty for artifacts that run on every CPU.
        c_program: module with `program(folder, inputs, outputs)`, the `CProgram` that runs an artifact for applications without
            Python; empty if there is none.
        runtimes: wheels, best first.
        wheel_python: the Python, such as `3.10`, whose wheels every board gets, because the runner needs only their native libraries.
            Empty for those of the board's own Python.
        system: runtimes that may be part of a board's system and that can run it.
        system_hint: how to install such a runtime, if there are no wheels.
        caps: distribution -> version -> what it can read from that version on, for runtimes that boards already have.
    """

    name: str
    title: str
    entry: str
    precisions: tuple[str, ...]
    framework: str
    host_runner: str = ""
    layers: LayerReader | None = None
    steps: str = ""
    max_opset: int | None = None
    integer_bits: int = 64
    float64: bool = False
    sums_vary: bool = False
    tools: tuple[str, ...] = ()
    routes: dict[str, Route] = {}
    as_is: dict[str, Route] = {}
    calibration_methods: tuple[str, ...] = ("minmax",)
    accelerators: tuple[str, ...] = ("cpu",)
    hardware: dict[str, str] = {}
    requirements: tuple[str, ...] = ()
    compiles_for: tuple[str, ...] = ()
    c_program: str = ""
    runtimes: tuple[RuntimeRow, ...] = ()
    wheel_python: str = ""
    system: tuple[SystemRuntime, ...] = ()
    system_hint: str = ""
    caps: dict[str, dict[str, dict[str, int]]] = {}

    @property
    def runner(self) -> str:
        """The module that is sent to boards; their agents know it by this name."""
        return f"{self.name}.runner"

    @property
    def runs_on_host(self) -> str:
        """The module that runs artifacts on the host."""
        return self.host_runner or self.runner

    @property
    def stages(self) -> tuple[str, ...]:
        """The modules of all stages."""
        routes = (*self.routes.values(), *self.as_is.values())
        by_stage = tuple(self.layers.named_by_stage.values()) if self.layers else ()
        return tuple(dict.fromkeys((*(one for route in routes for _, one in route.stages), *by_stage)))

    @property
    def sources(self) -> tuple[str, ...]:
        """Source formats that it accepts, sorted."""
        return tuple(sorted({*self.routes, *self.as_is}))

    def precisions_from(self, source: str) -> tuple[str, ...]:
        """Names of the precisions available from a source format, in the target's order."""
        route = self.routes.get(source)
        made = () if route is None else route.precisions or self.precisions
        return tuple(
            name for name in self.precisions
            if (source in self.as_is if name == AS_IS else name in made)
        )  # fmt: skip

    def caps_of(self, distribution: str, version: str) -> dict[str, int]:
        """What a runtime can read; empty if unknown, so that the board itself decides.

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
        """What an artifact requires beyond a runtime's caps: `{kind: (required, newest supported)}`."""
        return beyond(self.caps_of(distribution, version), requires)

    def runtimes_for(self, python: str, arch: str, glibc: str) -> list[RuntimeRow]:
        """The rows that fit a board, best first; empty if no wheel runs there."""
        return [row for row in self.runtimes if row.fits(python, arch, glibc)]


def beyond(caps: dict[str, int], requires: dict[str, int]) -> dict[str, tuple[int, int]]:
    """`{kind: (required, cap)}` of everything that is required beyond a cap."""
    return {kind: (value, caps[kind]) for kind, value in requires.items() if value > caps.get(kind, value)}


def numbers(version: str) -> tuple[int, ...]:
    """`3.9.2` -> (3, 9, 2). Stops at the first part that is not a number, so an unknown version is lower than every other."""
    found: list[int] = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)
