"""What runs in worker processes: arguments and results are plain values and records."""
