"""Benchmarks and inference on boards."""
