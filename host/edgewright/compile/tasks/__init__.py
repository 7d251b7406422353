"""The tasks that run in worker processes: arguments and results are plain values and records."""
