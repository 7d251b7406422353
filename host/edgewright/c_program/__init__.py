"""Writes an artifact as a C program, for applications without Python."""
