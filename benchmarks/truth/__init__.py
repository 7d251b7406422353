"""Faults planted in finished artifacts, and the verdicts on them: the parts of `bench_truth.py`."""
