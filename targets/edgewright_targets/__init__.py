"""Targets: one folder each, with its stages on the host and its runner for boards."""
