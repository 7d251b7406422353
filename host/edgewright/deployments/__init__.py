"""Deployments, rollbacks and benchmarks over boards."""
