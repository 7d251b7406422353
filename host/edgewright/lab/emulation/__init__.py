"""Boards of another architecture under qemu."""
