"""Processes that the agent starts: its own code, the user's hooks, the board's programs."""
