"""Calibration and evaluation data: samples, goldens, labels, and the outputs that models compute for them."""
