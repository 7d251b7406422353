"""SSH servers of simulated boards."""
