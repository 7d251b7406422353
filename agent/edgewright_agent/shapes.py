"""Empty: the types in annotations are in `shapes.pyi`, for type checkers. The packed agent does not contain this file."""
