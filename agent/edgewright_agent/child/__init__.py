"""The child process, which runs a model, and its jobs."""
