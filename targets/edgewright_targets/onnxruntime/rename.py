"""Names of a graph's ends. Host side."""


def rename(model, inputs, outputs):
    """Gives the graph's inputs and outputs the source's names."""
    graph = model.graph
    names = dict(zip([item.name for item in graph.input], inputs, strict=True))
    wanted = dict(zip([item.name for item in graph.output], outputs, strict=True))
    taken = {name for node in graph.node for name in node.output} - set(wanted)
    names.update(
        {old: new if new not in taken and new not in inputs else "out_" + new for old, new in wanted.items()}
    )
    for item in [*graph.input, *graph.output]:
        item.name = names.get(item.name, item.name)
    for node in _nodes(graph):
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    del graph.value_info[:]


def _nodes(graph):
    """Those of inner graphs too: the body of a loop reads the outer graph's inputs by name."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from _nodes(inner)
