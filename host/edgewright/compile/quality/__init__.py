"""The quality of an artifact: the verdict, metrics, levels, and the comparison with its source."""
