"""Checks of a release on this board: the verdict, accuracy, benchmarks."""
