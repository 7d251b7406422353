"""Profiles: one TOML file per kind of board."""
