"""TensorFlow's function -> a SavedModel with static shapes, which OpenVINO reads by itself."""


def convert(work):
    """Writes it frozen.

    Its variables become constants first: OpenVINO does not find those that lie deep in an object's attributes.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(work.source.concrete)

    def serve(*tensors):
        return {f"output_{index}": tensor for index, tensor in enumerate(tf.nest.flatten(frozen(*tensors)))}

    signature = tf.function(
        serve,
        input_signature=[tf.TensorSpec(spec.shape, spec.dtype, name=spec.name) for spec in work.inputs],
        autograph=False,
    )
    module = tf.Module()
    module.serve = signature
    tf.saved_model.save(module, str(work.folder), signatures=signature.get_concrete_function())
