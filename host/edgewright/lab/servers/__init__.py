"""The SSH servers of simulated boards."""
