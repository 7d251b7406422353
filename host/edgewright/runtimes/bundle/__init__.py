"""Bundles: one file with the wheels of runtimes, for hosts without internet."""
