"""Stands for `shapes.pyi`, which names the types of records: only type checkers read that, and this is not packed."""
