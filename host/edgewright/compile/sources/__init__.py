"""One module per source format, which opens a model in the worker of its framework."""
