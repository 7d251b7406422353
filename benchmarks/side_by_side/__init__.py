"""Targets side by side: size of runtime and model, latency and memory, on one lab board in one run."""
