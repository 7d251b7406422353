"""Nothing: the types that annotations name are in `shapes.pyi`, for type checkers. The agent is packed without this file."""
