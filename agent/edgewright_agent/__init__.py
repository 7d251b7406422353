"""The agent that runs on a board. Python 3.6 and the standard library only."""

__version__ = "0.1.0"
