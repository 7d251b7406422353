"""One module a source format: opens the model in the worker of its framework."""
