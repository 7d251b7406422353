"""Calibration and evaluation data: samples, goldens, labels, and the model's answers to them."""
