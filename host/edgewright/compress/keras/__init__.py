"""Compression of Keras networks: training, masks and structured pruning, with Keras 3 on TensorFlow."""
