"""Toolchains: converters that need another Python, in separate virtual environments."""
