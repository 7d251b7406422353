"""TensorFlow's function -> fp32 ONNX, by tf2onnx."""

from edgewright_targets.onnxruntime.files import save
from edgewright_targets.onnxruntime.tidy import tidy


def convert(work):
    """At the opset that was asked for."""
    import tf2onnx
    from tensorflow import TensorSpec

    signature = [TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in work.inputs]
    model, _ = tf2onnx.convert.from_function(
        work.source.module.serve, input_signature=signature, opset=work.opset
    )
    tidy(model)
    _rename(model, [spec.name for spec in work.inputs], [spec.name for spec in work.outputs])
    save(model, work.folder / work.entry)


def _rename(model, inputs, outputs):
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
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    del graph.value_info[:]
