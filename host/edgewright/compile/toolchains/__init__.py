"""Toolchains: converters that need another Python version, in separate virtual environments."""
