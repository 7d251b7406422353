"""How right an artifact is: the verdict, metrics, levels, and the comparison with its source."""
