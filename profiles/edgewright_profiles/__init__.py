"""Profiles: one TOML file a kind of board."""
