"""Emulates boards of another architecture with qemu."""
