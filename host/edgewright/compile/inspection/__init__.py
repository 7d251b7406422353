"""Looks into model files without a framework: what they are, whether they are whole, what they would run."""
