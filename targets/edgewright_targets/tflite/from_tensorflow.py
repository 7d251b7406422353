"""TensorFlow's ConcreteFunction -> .tflite, by TensorFlow's own converter."""

from edgewright_targets.tflite.described import described


def convert(work):
    """TensorFlow's ConcreteFunction -> .tflite.

    Raises whatever the converter raises.
    """
    import tensorflow as tf

    # one argument: a second one (a Keras 3 model) silently yields a file without weights
    converter = tf.lite.TFLiteConverter.from_concrete_functions([work.source.concrete])
    if work.precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        # else dense layers get an operator version that tflite-runtime 2.14 refuses
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    if work.precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if work.precision == "int8":
        converter.representative_dataset = work.samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    data = converter.convert()
    (work.folder / work.entry).write_bytes(data)
    return described(work, "min-max")
