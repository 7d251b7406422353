"""Processes that the agent starts: its own code, user hooks, programs of the board."""
