"""The process that runs a model, and what it does there."""
