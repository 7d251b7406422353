"""What stays in floats when a .tflite file is quantised, because 8 bits would destroy it. Host side."""

from collections import namedtuple

from edgewright_targets.tflite import explain, graph

# names: operators, by their first outputs. note: for the manifest
Spared = namedtuple("Spared", "names note")

# by the bits: so many levels of a joined output have to be left for each of its parts
LEAST = {8: 64, 16: 256}
HUGE = 1e8  # activations that reach so far stand for plus or minus infinity
_TOO_LARGE = "one scale for numbers so large leaves no levels to the rest"
_JOINS = ("CONCATENATION", "PACK")


def spared(data, found, bits, outputs=None):
    """The Spareds of a float file.

    Args:
        found: `ranges.ranges` of it.
        bits: of the activations.
        outputs: the names that the source has for its outputs; None: they have to be integers, so nothing is left there.
    """
    import msgspec

    from edgewright.compile.float_groups import ENDS, MASKS, groups

    rows = _operations(explain.written(data))
    operators = graph.operators(data)
    masks = [group for group in groups(rows) if group.kind == MASKS]
    said = [Spared(group.names, f"in floats: {group.words}: {_TOO_LARGE}") for group in masks]
    kept = {name for group in masks for name in group.names}
    huge = _huge(operators, found, kept)
    if huge:
        words = f"{huge[0]} and {len(huge) - 1} more" if len(huge) > 1 else huge[0]
        said.append(Spared(tuple(huge), f"in floats: {words}: {_TOO_LARGE}"))
    for output, name in zip(graph.output_names(data), outputs or (), strict=False):
        alone = [msgspec.structs.replace(one, ends=(output,) if output in one.ends else ()) for one in rows]
        for group in groups(alone):
            share = _least_share(operators, set(group.names), found) if group.kind == ENDS else 1.0
            if share * (1 << bits) < LEAST[bits]:
                said.append(Spared(group.names, _different(name, share)))
    return said


def joined(data):
    """Whether operators of a float file that only move data join parts of an output."""
    from edgewright.compile.float_groups import ENDS, groups

    return any(group.kind == ENDS for group in groups(_operations(explain.written(data))))


def masked(source):
    """Whether an opened TensorFlow source has what `spared` leaves in floats for the sake of a large constant."""
    from edgewright.compile import source_graphs
    from edgewright.compile.float_groups import LARGE, MASKS, groups

    graph = source.concrete.graph.as_graph_def()
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    if max(map(source_graphs.magnitude, nodes), default=0.0) < LARGE:  # most models: no need to freeze them
        return False
    rows = _operations(source_graphs.of_source(source, None))
    large = any(one.largest >= HUGE for one in rows)
    return large or any(group.kind == MASKS for group in groups(rows))


def _operations(rows):
    import msgspec

    from edgewright.compile.operations import Operation

    return [msgspec.convert(row, Operation) for row in rows]


def _different(output, share):
    return f"in floats: what joins output {output}: the range of one part is {share:.2g} of the whole"


def _huge(operators, found, kept):
    """Names of the operators that read or make a tensor of huge values, but for those that are kept."""
    huge = {
        name
        for name, ends in found.items()
        if max(abs(ends["min"].flat[0]), abs(ends["max"].flat[0])) >= HUGE
    }
    return [
        operator.outputs[0].name
        for operator in operators
        if operator.outputs
        and operator.outputs[0].name not in kept
        and huge & {tensor.name for tensor in (*operator.inputs, *operator.outputs)}
    ]


def _least_share(operators, names, found):
    """How much of the range of what is joined the narrowest of its parts takes; parts that do not vary have no say."""
    own = [operator for operator in operators if operator.outputs and operator.outputs[0].name in names]
    made = {tensor.name for operator in own for tensor in operator.outputs}
    least = 1.0
    for operator in own:
        whole = _ends(found, operator.outputs[0].name)
        if operator.kind not in _JOINS or whole is None:
            continue
        width = max(whole[1], 0.0) - min(whole[0], 0.0)  # a scale has zero in its range
        for tensor in operator.inputs:
            part = _ends(found, tensor.name)
            if part is not None and tensor.name not in made and 0 < part[1] - part[0] < least * width:
                least = (part[1] - part[0]) / width
    return least


def _ends(found, name):
    ends = found.get(name)
    return None if ends is None else (float(ends["min"].flat[0]), float(ends["max"].flat[0]))
