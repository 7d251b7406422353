"""Inspects model files without a framework: their format, whether they are complete, and which operators they would run."""
