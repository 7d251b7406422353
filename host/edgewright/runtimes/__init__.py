"""Runtimes for boards: which wheels fit, where they come from, and how they are installed."""
