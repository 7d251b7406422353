"""Faults planted in finished artifacts, and what the verdicts say of them: the parts of `bench_truth.py`."""
