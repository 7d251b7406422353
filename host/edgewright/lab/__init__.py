"""Simulated boards on this machine, and the demo."""
