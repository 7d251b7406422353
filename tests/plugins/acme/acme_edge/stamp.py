"""A conversion step: names the artifact's operators after Acme."""

from edgewright.sdk import ConversionStep


def run(context):
    import onnx

    model = onnx.load(str(context.path))
    for node in model.graph.node:
        node.name = f"acme_{node.name}"
    place = context.path.with_name("stamped.onnx")
    onnx.save(model, str(place))
    context.path = place
    return [f"{len(model.graph.node)} operators were stamped"]


STEP = ConversionStep(name="acme-stamp", worker="onnx", run=run, targets=("onnxruntime",))
