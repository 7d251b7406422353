"""Names of a graph's ends. Host side."""


def rename(model, inputs, outputs):
    """Gives the graph's inputs and outputs the source's names, in place.

    What is inside under such a name gets another one. So does an output that has the name of an input, which a graph
    cannot have twice, and one that is the input itself.
    """
    graph = model.graph
    weights = {item.name for item in graph.initializer}
    starts = [item.name for item in graph.input if item.name not in weights]
    names = dict(zip(starts, inputs, strict=True))
    taken = {*inputs, *(name for name in outputs if name not in inputs)}
    for item, new in zip(graph.output, outputs, strict=True):
        if item.name not in names:
            names[item.name] = new if new not in inputs else _free("out_" + new, taken)
            taken.add(names[item.name])
    inside = {name for node in nodes(graph) for name in (*node.input, *node.output)}
    names.update({name: _free(name, taken | inside) for name in sorted((inside | weights) & taken) if name not in names})
    _apply(graph, names)


def _free(name, taken):
    """The name, or the first one like it that is not taken."""
    number, found = 0, name
    while found in taken:
        number += 1
        found = f"{name}__{number}"
    return found


def _apply(graph, names):
    """In inner graphs too: the body of a loop reads the outer graph's tensors by name."""
    for item in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        item.name = names.get(item.name, item.name)
    for item in graph.sparse_initializer:
        item.values.name = names.get(item.values.name, item.values.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        for inner in _inner(node):
            _apply(inner, names)


def nodes(graph):
    """All nodes, those of inner graphs too."""
    for node in graph.node:
        yield node
        for inner in _inner(node):
            yield from nodes(inner)


def _inner(node):
    return [
        graph
        for attribute in node.attribute
        for graph in ([attribute.g] if attribute.HasField("g") else attribute.graphs)
    ]
