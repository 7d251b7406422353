"""Diagnoses what a board or this machine lacks, and suggests how to fix it."""
