"""TFLite models on LiteRT or tflite-runtime."""
