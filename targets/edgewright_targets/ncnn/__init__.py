"""Models on ncnn, which has wheels for 32-bit Arm and for Python 3.6."""
