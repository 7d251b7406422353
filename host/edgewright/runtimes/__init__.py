"""Runtimes for boards: which wheels fit, where they come from, how they are installed."""
