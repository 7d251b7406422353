"""Frozen records without I/O, shared by all layers."""
