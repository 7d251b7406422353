"""Deployments, rollbacks, benchmarks and diagnosis over boards."""
