"""Logs in through the system's `ssh` program, with a private configuration that knows the pinned host keys alone."""
